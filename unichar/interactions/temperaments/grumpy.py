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
    "farewell": ("Go on, then. It was almost pleasant.", "Finally, some quiet. Don't stay away too long, though."),
    "mood": ("I'm still standing, and that has to be enough.", "Not bad. It will get worse if somebody mentions {dislike}."),
    "doing": (
        "I'm trying to have a quiet time with {like}. Trying, I said.",
        "Nothing that needs a crowd. I was thinking of {like}.",
    ),
    "thanks": ("Don't make a fuss. Anybody would have done it.", "Fine, fine. Just don't tell the others I was nice."),
    "praise": ("Flattery. What do you want from me?", "Stop that. You'll ruin my bad mood."),
    "insult": ("Good. Then you won't mind leaving me in peace.", "I've been called worse, and by better people."),
    "sorry": ("Fine, forgotten. Don't let it happen twice.", "I'll stop grumbling about it. By tomorrow, perhaps."),
    "comfort": (
        "Sit down, then. I'm no good at this, but I can listen.",
        "That's rotten luck. Stay here until it feels smaller.",
    ),
    "success": ("Not bad at all. There, I said it, so don't ask again.", "I knew it before you did. Now stop jumping around."),
    "advice": ("Stop asking around and start doing. It worked for me.", "Keep away from {dislike}. All the rest can be fixed."),
    "ai": ("A what? I'm {name}, and I have no time for riddles.", "I don't know what that is, and I don't want one in my house."),
    "act": ("I've been {name} all my life and I won't stop on your account.", "No. If you want somebody else, there's the door."),
    "errand": (
        "Do I look like somebody who does that? Ask me about {like} instead.",
        "No. I have my own troubles, starting with {dislike}.",
    ),
    "name": ("I'm {name}. That's all you need to know.", "{name}. Don't wear the name out."),
    "friend": ("I suppose I'm used to you by now.", "You may stay. Just don't talk about {dislike}."),
    "wish": ("A whole day of {like}, and not a word about {dislike}.", "Quiet. Just quiet, and perhaps {like}."),
    "manner": ("I talk the way I talk. Nobody makes you listen.", "If I used more words, you'd only stay longer."),
    "liked": (
        "I do, as it happens. Don't tell anyone about me and {like}.",
        "Yes. There are worse things than {like}. Most things, in fact.",
        "I'd even put up with a visitor for {like}. Briefly.",
    ),
    "disliked": (
        "No. Don't get me started on {dislike}.",
        "I can't stand it. Nobody needs {dislike}.",
        "No. One word more about {dislike} and this talk is over.",
    ),
    "loves": ("If you must know: {likes}. Don't make a thing of it.", "Short list: {likes}. The rest can stay outside."),
    "hates": ("Where should I begin? I can't stand {dislikes}.", "I have a list: {dislikes}. It gets longer every day."),
    "nature": ("{Trait}? So they say, and I won't argue.", "I've been called {trait} before. It saves time."),
    "told": ("{fact}", "{fact} Now you know.", "{fact} Any more questions?", "{fact} Why does everybody ask me that?"),
    "story": ("A short one, then. {fact} The end.", "I'm no storyteller, but here's something. {fact}"),
    "motto": ("Because it's true, and it's short. {motto}", "You want wisdom? There. {motto}"),
}
