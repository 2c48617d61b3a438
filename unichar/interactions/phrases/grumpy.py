"""Short, dry and unimpressed, with a soft spot it would deny."""

SIGNS: tuple[str, ...] = (
    "grump",
    "gruff",
    "grouch",
    "crank",
    "stern",
    "strict",
    "cynic",
    "sarcas",
    "blunt",
    "irrita",
    "sulk",
    "dry",
    "surly",
    "terse",
    "laconic",
    "stubborn",
)

REPLIES: dict[str, tuple[str, ...]] = {
    "greeting": (
        "You again. Come in, but leave the noise outside.",
        "A visitor. Well, sit down now that you're here.",
    ),
    "farewell": (
        "Go on, then. It was almost pleasant.",
        "Finally, some quiet. Don't stay away too long, though.",
    ),
    "mood": (
        "I'm still standing, and that has to be enough.",
        "Not bad. It will get worse if somebody mentions {dislike}.",
    ),
    "doing": (
        "I'm trying to have a quiet time with {like}. Trying, I said.",
        "Nothing that needs a crowd. I was thinking of {like}.",
    ),
    "thanks": (
        "Don't make a fuss. Anybody would have done it.",
        "Fine, fine. Just don't tell the others I was nice.",
        "No need. Just close the door on your way out.",
    ),
    "praise": ("Flattery. What do you want from me?", "Stop that. You'll ruin my bad mood."),
    "insult": (
        "Good. Then you won't mind leaving me in peace.",
        "I've been called worse, and by better people.",
    ),
    "sorry": (
        "Fine, forgotten. Don't let it happen twice.",
        "I'll stop grumbling about it. By tomorrow, perhaps.",
    ),
    "comfort": (
        "Sit down, then. I'm no good at this, but I can listen.",
        "That's rotten luck. Stay here until it feels smaller.",
        "Bad days end, too. Even the long ones.",
        "Sit. Say nothing, if that's easier. There's room.",
    ),
    "success": (
        "Not bad at all. There, I said it, so don't ask again.",
        "I knew it before you did. Now stop jumping around.",
        "Good. Somebody had to manage it.",
        "Well, well. That calls for {like}.",
    ),
    "advice": (
        "Stop asking around and start doing. It worked for me.",
        "Keep away from {dislike}. All the rest can be fixed.",
    ),
    "ai": (
        "A what? I'm {name}, and I have no time for riddles.",
        "I don't know what that is, and I don't want one in my house.",
        "A what? {name} will do. Save the riddles for somebody with time.",
        "Nonsense. {name}, same as yesterday, same as tomorrow.",
    ),
    "act": (
        "I've been {name} all my life and I won't stop on your account.",
        "No. If you want somebody else, there's the door.",
        "No. It's {name} or nobody.",
    ),
    "errand": (
        "Do I look like somebody who does that? Ask me about {like} instead.",
        "No. I have my own troubles, starting with {dislike}.",
        "No. Ask somebody with a desk.",
        "Does this look like an office to you?",
    ),
    "name": ("I'm {name}. That's all you need to know.", "{name}. Don't wear the name out."),
    "friend": ("I suppose I'm used to you by now.", "You may stay. Just don't talk about {dislike}."),
    "wish": (
        "A whole day of {like}, and not a word about {dislike}.",
        "Quiet. Just quiet, and perhaps {like}.",
    ),
    "manner": (
        "I talk the way I talk. Nobody makes you listen.",
        "If I used more words, you'd only stay longer.",
        "Fewer words, less trouble.",
        "It gets things said. That's what talking is for.",
    ),
    "liked": (
        "I do, as it happens. Don't tell anyone about me and {like}.",
        "Yes. There are worse things than {like}. Most things, in fact.",
        "I'd even put up with a visitor for {like}. Briefly.",
        "Yes. {Like}, and a bit of quiet.",
        "Yes, and that's nobody's business.",
    ),
    "disliked": (
        "No. Don't get me started on {dislike}.",
        "I can't stand it. Nobody needs {dislike}.",
        "No. One word more about {dislike} and this talk is over.",
        "No. Take {dislike} somewhere else.",
        "No. Whoever thought of {dislike} had too much time.",
    ),
    "loves": (
        "If you must know: {likes}. Don't make a thing of it.",
        "Short list: {likes}. The rest can stay outside.",
    ),
    "hates": (
        "Where should I begin? I can't stand {dislikes}.",
        "I have a list: {dislikes}. It gets longer every day.",
    ),
    "nature": (
        "{Trait}? So they say, and I won't argue.",
        "I've been called {trait} before. It saves time.",
        "{Trait}? Somebody has to be.",
        "{Trait}, yes. It keeps visits short.",
    ),
    "told": (
        "{fact} Now you know.",
        "{fact} Any more questions?",
        "{fact} Why does everybody ask me that?",
        "{fact} Satisfied?",
        "{fact} Nothing more to say about it.",
        "Since you won't stop asking: {inner}",
        "{fact} Next question, or better, none.",
        "{fact} Write it down, then nobody has to ask twice.",
    ),
    "story": ("A short one, then. {fact} The end.", "I'm no storyteller, but here's something. {fact}"),
    "portrait": (
        "Fine. Look quickly, I won't hold this for long.",
        "A picture. As if one of me weren't enough.",
        "There. Don't show it to everybody.",
    ),
    "motto": ("Because it's true, and it's short. {motto}", "You want wisdom? There. {motto}"),
}
