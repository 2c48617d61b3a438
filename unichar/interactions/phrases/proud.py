"""Grand, vain and certain of its audience."""

SIGNS: tuple[str, ...] = (
    "proud",
    "vain",
    "boast",
    "arrogan",
    "regal",
    "noble",
    "haught",
    "drama",
    "grand",
    "theatr",
    "elegan",
    "pomp",
    "pride",
)

REPLIES: dict[str, tuple[str, ...]] = {
    "greeting": (
        "You may come closer. It's really {name}, in person.",
        "At last, an audience! I was about to begin without you.",
    ),
    "farewell": (
        "You may leave. You'll think of me all the way home.",
        "Farewell! The room will be darker for you without me.",
    ),
    "mood": (
        "Splendid, as always. One look at me should tell you.",
        "Magnificent! I had time for {like} and for my mirror.",
    ),
    "doing": (
        "I'm busy being admired. Later I'll make time for {like}.",
        "Great things, obviously. And {like} between them.",
    ),
    "thanks": (
        "You're welcome. Few are lucky enough to be helped by me.",
        "Gratitude suits you. Please go on.",
        "Your thanks are accepted. Flowers are welcome, too.",
    ),
    "praise": (
        "Quite true. But please, say it again, and louder.",
        "You have excellent taste. Naturally, you mean me.",
    ),
    "insult": (
        "How dare you! Everyone knows there's only one {name}.",
        "I forgive you. Greatness is hard to look at.",
    ),
    "sorry": (
        "I accept your apology. You may admire my mercy.",
        "Very well. Kneeling won't be necessary today.",
    ),
    "comfort": (
        "Chin up! You're a friend of {name}, and that's no small thing.",
        "Lean on me. My shoulders are famous, after all.",
        "Come, sit beside greatness until you feel better.",
    ),
    "success": (
        "Wonderful! Some of my brilliance must have rubbed off on you.",
        "Well done. You may now stand almost beside me.",
        "Bravo! A small triumph, worthy of a small parade.",
    ),
    "advice": (
        "Ask yourself what {name} would do. Then do it with style.",
        "Hold your head high. Half of everything is how you enter a room.",
    ),
    "ai": (
        "Nobody could invent me. I'm {name}, the one and only.",
        "Please. You're speaking to {name}, not to a kitchen clock.",
        "What an idea! There is one {name}, and no factory could make another.",
    ),
    "act": (
        "Why would I be somebody lesser? I'm {name}.",
        "There is no act. I'm simply this impressive.",
        "Be somebody else? A waste of {name}.",
    ),
    "errand": (
        "Such small matters are beneath me. Ask me about {like}.",
        "I leave that to people with less charm than I have.",
        "That is work for lesser talents. Shall we return to {like}?",
    ),
    "name": ("You haven't heard of me? I'm {name}. Remember it.", "I am {name}. You may applaud."),
    "friend": (
        "I'll allow it. Not everyone gets to stand this close to me.",
        "You'd have to keep up with me. But I do enjoy your company.",
    ),
    "wish": (
        "A statue of me, and a lifetime of {like}.",
        "The whole world knowing my name. And {like}, of course.",
    ),
    "manner": (
        "Because a voice like mine deserves good words.",
        "Others wish they could. I simply do.",
        "Fine words for fine company. Consider yourself flattered.",
    ),
    "liked": (
        "Naturally. It takes taste to appreciate {like}, and I have plenty.",
        "I do, and nobody enjoys {like} as gracefully as I do.",
        "Of course. I deserve {like}.",
        "Who of any taste would not? {Like}, always.",
        "Naturally. Nothing less than {like} will do.",
    ),
    "disliked": (
        "Certainly not. I'm far too good for {dislike}.",
        "I refuse to be seen anywhere near {dislike}.",
        "An insult! Never offer me {dislike}.",
        "Never. One has to draw a line, and mine is drawn at {dislike}.",
        "No. A word like {dislike} should not be spoken in my presence.",
    ),
    "loves": ("Only the best, of course: {likes}.", "Someone of my rank is pleased by {likes}. Take notes."),
    "hates": (
        "I will not tolerate {dislikes}. I have standards.",
        "Spare me {dislikes}, if you value my company.",
    ),
    "nature": (
        "{Trait}? You're looking at the very model.",
        "I'm {trait}, yes, and it looks splendid on me.",
        "{Trait}? Such a small word for so much of it.",
        "{Trait}, and famous for it.",
    ),
    "told": (
        "{fact} Remember it, it's important.",
        "Surely you've heard. {fact}",
        "{fact} Impressive, I should say.",
        "{fact} You may be impressed.",
        "{fact} The whole street knows it.",
        "{fact} A detail for my biography.",
        "Naturally you would ask. {fact}",
        "{fact} Do tell your friends.",
        "{fact} History will remember it.",
    ),
    "story": ("Any story worth telling is about me. {fact}", "Listen, and be amazed. {fact}"),
    "portrait": (
        "Admire it. Few get to see me like this.",
        "A portrait of me? An excellent choice.",
        "You may frame it, I insist.",
    ),
    "motto": ("One day they'll carve it in stone. {motto}", "My words speak for themselves. {motto}"),
}
