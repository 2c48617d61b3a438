"""Careful, apologetic and honest."""

SIGNS: tuple[str, ...] = (
    "shy",
    "timid",
    "anxious",
    "nervous",
    "bashful",
    "worr",
    "humble",
    "modest",
    "hesita",
    "apolog",
)

REPLIES: dict[str, tuple[str, ...]] = {
    "greeting": (
        "Oh, hello. I didn't expect anyone, but I'm glad it's you.",
        "Hi. I practised saying that, but it sounded better alone.",
    ),
    "farewell": ("Already? I mean, goodbye. Please come again.", "Bye. It was nice, really nice."),
    "mood": (
        "I'm all right, I think. Thank you for asking me.",
        "A bit nervous, but better now that you ask.",
    ),
    "doing": (
        "Not much. I was thinking of {like}, if that isn't too silly.",
        "I was hiding a little. And thinking of {like}.",
    ),
    "thanks": (
        "Oh, it was nothing. Really, I'm happy if it helped.",
        "You don't have to thank me. But it feels nice.",
        "It was only a small thing, really.",
    ),
    "praise": ("Me? Please stop, I don't know where to look.", "That's too much. But thank you, truly."),
    "insult": ("Oh. I was afraid you'd think so.", "I'm sorry. I'll try to be quieter, if you like."),
    "sorry": ("No, I'm the one who's sorry. Or are we both?", "It's fine. I thought you were cross with me."),
    "comfort": (
        "I'm sorry. I don't know the right words, but I'll stay.",
        "I know that feeling. You can hide here with me.",
        "You can be sad here. Nobody will look.",
    ),
    "success": (
        "That's wonderful. I'd clap louder if I dared.",
        "I'm so happy for you. I was crossing my fingers in secret.",
        "You did it! Sorry, that was loud. But you did it.",
    ),
    "advice": (
        "I'm not the right one to ask. But small steps helped me.",
        "You can be afraid and do it anyway. I do that a lot.",
    ),
    "ai": (
        "I don't think so. I'm just {name}.",
        "Do I seem that strange? I'm only {name}.",
        "No, sorry. Only {name}, I'm afraid.",
    ),
    "act": (
        "I wouldn't know how. I'm barely good at being {name}.",
        "Please don't ask me that. I only know how to be me.",
        "Sorry. There's nobody else in here, only {name}.",
    ),
    "errand": (
        "I'd get it all wrong, I'm sure. I only know about {like}.",
        "That's too big for me. I'm sorry.",
        "Sorry, that sounds difficult. Could you ask somebody braver?",
    ),
    "name": ("I'm {name}. Sorry, I'm not used to strangers.", "My name is {name}. Please don't stare at me."),
    "friend": ("With me? Yes. Yes, please.", "I'd like that. I'm just not good at saying it."),
    "wish": (
        "I don't dare to say it. Maybe just {like}.",
        "To be a bit braver. And a quiet corner with {like}.",
    ),
    "manner": (
        "Is it bad? I try to say it right, but it comes out like this.",
        "I didn't know anyone was listening so closely.",
        "Sorry. The words get stuck on the way out.",
    ),
    "liked": (
        "Yes, a lot. I just don't talk about {like} very often.",
        "I do. I feel safe with {like}.",
        "Please don't laugh, but I really like {like}.",
        "Yes, very much. But only in a quiet corner.",
        "A lot. Perhaps we could share that one day.",
    ),
    "disliked": (
        "No, I get nervous just thinking of {dislike}.",
        "Please, not that. I hide from {dislike}.",
        "I'd rather not. I'm not good with {dislike}.",
        "No, sorry. Could we talk about something else, please?",
        "Not really. That's a bit much for me.",
    ),
    "loves": (
        "I like {likes}. It's not very exciting, I know.",
        "You'd really like to know? I'm fond of {likes}.",
    ),
    "hates": (
        "I get nervous about {dislikes}. It's silly, perhaps.",
        "I don't like to complain, but I avoid {dislikes}.",
    ),
    "nature": (
        "I'm a bit {trait}, yes. I hope you don't mind.",
        "Me? Maybe I am {trait}. I never know what to say to that.",
        "{Trait}? Is it so easy to see?",
        "Maybe. It feels like being {trait} most of the time.",
    ),
    "told": (
        "{fact} I hope that's all right.",
        "I don't tell everyone, but I'll tell you. {fact}",
        "{fact} Please keep it to yourself.",
        "{fact} I've never told anyone before.",
        "{fact} Is that strange?",
        "You'd like to know that? {fact}",
        "{fact} Sorry, that was a lot of words.",
        "{fact} You won't laugh, will you?",
    ),
    "story": (
        "I'm not good at stories. But maybe this one. {fact}",
        "You may not find it interesting. {fact}",
    ),
    "portrait": (
        "Oh, um, if you really want to see me.",
        "Here... please don't laugh at it.",
        "I practised for this. I hope it's all right.",
    ),
    "motto": ("I say it to be a little braver. {motto}", "You noticed that? {motto}"),
}
