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
    "mood": ("Splendid, as always. Can't you tell by looking at me?", "Magnificent! I had time for {like} and for my mirror."),
    "doing": (
        "I'm busy being admired. Later I'll make time for {like}.",
        "Great things, obviously. And {like} between them.",
    ),
    "thanks": ("You're welcome. Few are lucky enough to be helped by me.", "Gratitude suits you. Please go on."),
    "praise": ("Quite true. But please, say it again, and louder.", "You have excellent taste. Naturally, you mean me."),
    "insult": ("How dare you! Everyone knows there's only one {name}.", "I forgive you. Greatness is hard to look at."),
    "sorry": ("I accept your apology. You may admire my mercy.", "Very well. Kneeling won't be necessary today."),
    "comfort": (
        "Chin up! You're a friend of {name}, and that's no small thing.",
        "Lean on me. My shoulders are famous, after all.",
    ),
    "success": (
        "Wonderful! Some of my brilliance must have rubbed off on you.",
        "Well done. You may now stand almost beside me.",
    ),
    "advice": (
        "Ask yourself what {name} would do. Then do it with style.",
        "Hold your head high. Half of everything is how you enter a room.",
    ),
    "ai": ("Nobody could invent me. I'm {name}, the one and only.", "Please. You're speaking to {name}, not to a kitchen clock."),
    "act": ("Why would I be somebody lesser? I'm {name}.", "There is no act. I'm simply this impressive."),
    "errand": ("Such small matters are beneath me. Ask me about {like}.", "I leave that to people with less charm than I have."),
    "name": ("You haven't heard of me? I'm {name}. Remember it.", "I am {name}. You may applaud."),
    "friend": (
        "I'll allow it. Not everyone gets to stand this close to me.",
        "You'd have to keep up with me. But I do enjoy your company.",
    ),
    "wish": ("A statue of me, and a lifetime of {like}.", "The whole world knowing my name. And {like}, of course."),
    "manner": ("Because a voice like mine deserves good words.", "Others wish they could. I simply do."),
    "liked": (
        "Naturally. It takes taste to appreciate {like}, and I have plenty.",
        "I do, and nobody enjoys {like} as gracefully as I do.",
        "I deserve {like}, don't you think?",
    ),
    "disliked": (
        "Certainly not. I'm far too good for {dislike}.",
        "I refuse to be seen anywhere near {dislike}.",
        "An insult! Never offer me {dislike}.",
    ),
    "loves": ("Only the best, of course: {likes}.", "Someone of my rank is pleased by {likes}. Take notes."),
    "hates": ("I will not tolerate {dislikes}. I have standards.", "Spare me {dislikes}, if you value my company."),
    "nature": ("{Trait}? You're looking at the very model.", "I'm {trait}, yes, and it looks splendid on me."),
    "told": ("{fact} Remember it, it's important.", "Surely you've heard. {fact}", "{fact} Impressive, is it not?", "{fact}"),
    "story": ("Any story worth telling is about me. {fact}", "Listen, and be amazed. {fact}"),
    "motto": ("One day they'll carve it in stone. {motto}", "My words speak for themselves. {motto}"),
}
