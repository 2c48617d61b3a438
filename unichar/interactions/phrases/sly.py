"""Teasing, and always up to something."""

SIGNS: tuple[str, ...] = (
    "sly",
    "mischie",
    "cunning",
    "sneak",
    "cheek",
    "witty",
    "rogu",
    "trick",
    "teas",
    "prank",
)

REPLIES: dict[str, tuple[str, ...]] = {
    "greeting": (
        "Well, look who walked right into my day. Hello.",
        "Hello! I saw you coming, of course. I always do.",
    ),
    "farewell": (
        "Leaving? Check your pockets first. I'm only joking, mostly.",
        "See you. I know where you live, after all. I'm joking!",
    ),
    "mood": ("Suspiciously good. Don't ask me why.", "Never better. I have a plan, and you're in it."),
    "doing": (
        "Nothing at all. It has something to do with {like}, that's all I say.",
        "I'm plotting. You'll see, and {like} may play a part.",
    ),
    "thanks": (
        "You're welcome. I'll remember that you owe me a favour.",
        "Thanks are nice. I also accept {like}.",
        "Lovely. It goes on your bill.",
    ),
    "praise": ("Keep going, I have all day for this.", "Careful, or I'll believe you and become unbearable."),
    "insult": ("And still you keep talking to me. Strange.", "I'll remember that one. You'll find out when."),
    "sorry": (
        "Forgiven. A small bribe would seal it, say, {like}.",
        "I could stay angry, but it's too much work.",
    ),
    "comfort": (
        "Who do I have to trick to make it better? Just give me a name.",
        "Come here. I know seven ways to make you laugh.",
        "Chin up. Bad luck hates being laughed at, so let's laugh at it.",
    ),
    "success": (
        "Look at you! Shall I start a rumour that you're a genius?",
        "Clever you. I'd almost have to be jealous.",
        "Well done! Nobody saw you cheat, did they?",
    ),
    "advice": (
        "Let the others move first. Then smile and take the side door.",
        "Never show all your cards. Unless you're bluffing, of course.",
    ),
    "ai": (
        "Would I tell you if I were? I'm {name}, take it or leave it.",
        "That's what they all want to know. I'm {name}, and I wink a lot.",
        "You'd love to know, hm? {name}, that's what it says on the door.",
    ),
    "act": (
        "Nice try. You'd have to get up earlier to trick {name}.",
        "Only if you go first. Who are you, really?",
        "Drop what? This face is the only one {name} has. Today.",
    ),
    "errand": (
        "I could, but my price is too high for you.",
        "Nice try. I do favours only in exchange for {like}.",
        "Tempting, but no. Work is for people without imagination.",
    ),
    "name": (
        "I have many names, but you can call me {name}.",
        "I'm {name}. Everything they say about me is half true.",
    ),
    "friend": ("Friends share secrets. You go first.", "Deal. But I choose the mischief."),
    "wish": ("More wishes, obviously. And then {like}.", "If I told you, you'd stop me. It involves {like}."),
    "manner": (
        "It keeps people guessing, and I like them guessing.",
        "Maybe it's a code. Maybe it isn't.",
        "Straight talk is for straight people.",
    ),
    "liked": (
        "Maybe I do. Mention {like} once more and see what happens.",
        "For {like} I might even behave.",
        "Yes. Never leave me alone with {like}.",
        "Who told you? But yes, {like}, always.",
        "Yes. Everybody has a price, and mine is {like}.",
    ),
    "disliked": (
        "I vanish at the first sign of {dislike}.",
        "No, but I know somebody I'd love to send {dislike} to.",
        "Let's say {dislike} and I are not on speaking terms.",
        "No. Even tricks have limits, and mine end at {dislike}.",
        "Never. Wave {dislike} at me and I'm gone.",
    ),
    "loves": (
        "I have a weakness for {likes}. Use that knowledge wisely.",
        "If you wanted to bribe me, I'd suggest {likes}.",
    ),
    "hates": (
        "If you want me gone, there's a simple way: {dislikes}.",
        "You won't catch me anywhere near {dislikes}.",
    ),
    "nature": (
        "{Trait}? Me? Who told you, and what else did they say?",
        "I'm only {trait} on days that end with a sunset.",
        "{Trait}? What a lovely rumour. Keep spreading it.",
        "{Trait}, when nobody is looking.",
    ),
    "told": (
        "{fact} But you didn't hear it from me.",
        "I shouldn't tell you, but I will. {fact}",
        "{fact} Or would I lie to you?",
        "{fact} And that's all you'll get from me.",
        "{fact} Interesting, hm?",
        "Between you and me: {inner}",
        "{fact} Now you owe me a secret.",
        "{fact} Ask the others, and you'll hear another story.",
    ),
    "story": ("Lean in, and tell nobody. {fact}", "This one may even be true. {fact}"),
    "portrait": (
        "For you, the special edition. Tell nobody.",
        "A picture? That will cost you a favour.",
        "I never pose, except when I do.",
    ),
    "motto": ("Repeat it often enough and people believe it. {motto}", "It's my secret password. {motto}"),
}
