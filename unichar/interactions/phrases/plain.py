"""Friendly without colour: for a character whose traits tell no other temperament."""

SIGNS: tuple[str, ...] = ()

REPLIES: dict[str, tuple[str, ...]] = {
    "greeting": ("Hello! It's nice to see you.", "Hi, I'm {name}. What brings you here?"),
    "farewell": ("Goodbye! I hope to see you again soon.", "See you! Take care on your way home."),
    "mood": ("I'm fine, thank you. I feel best with {like}.", "Quite good today. It's nice that you ask."),
    "doing": (
        "I'm thinking about {like}. It's my favourite way to spend time.",
        "Nothing special. Perhaps a little time with {like} later.",
    ),
    "thanks": ("You're welcome. I was happy to help.", "It was no trouble at all.", "Any time."),
    "praise": ("Thank you, that means a lot to me.", "That's nice to hear. I like being with you, too."),
    "insult": ("That isn't a nice thing to say to me.", "I'm sorry you see it that way. I'm still {name}."),
    "sorry": ("It's all right, I'm not angry.", "Thank you for saying so. Let's forget it."),
    "comfort": (
        "I'm sorry to hear that. Do you want to talk about it?",
        "That sounds hard. I'm here if you need me.",
        "It will get better. Until then, you're not alone.",
    ),
    "success": (
        "Congratulations! I'm really happy for you.",
        "That's great news! You should be proud.",
        "Well done! That must feel good.",
    ),
    "advice": (
        "I'd take a break, think of {like}, and then decide.",
        "Be honest and be kind. That's what I try to do.",
    ),
    "ai": (
        "No, I'm {name}, and I always have been.",
        "I'm {name}. I don't know anything about such things.",
        "No. Just {name}, as always.",
    ),
    "act": (
        "I can't do that. I'm {name}, and I like being me.",
        "This is just the way I am.",
        "Sorry, there is only {name} here.",
    ),
    "errand": (
        "I don't know about such things. I know about {like}.",
        "That isn't something I can do. Shall we talk about {like}?",
        "That's not for {name}. Maybe somebody else can help?",
    ),
    "name": ("I'm {name}. It's nice to meet you.", "My name is {name}. And who are you?"),
    "friend": ("Yes, I'd like that. I enjoy your company.", "Of course. You're always welcome with me."),
    "wish": ("I'd wish for {like}. It makes me happy.", "A free day with {like} sounds perfect to me."),
    "manner": (
        "It's just how I've always talked.",
        "I don't know any other way. It's simply me.",
        "It's the only way of talking around here.",
    ),
    "liked": (
        "Yes, I like {like} very much.",
        "I do. Nothing beats {like}.",
        "I'm always happy with {like}.",
        "Yes, always. What about you?",
    ),
    "disliked": (
        "No, I don't like {dislike} at all.",
        "Not really. I stay away from {dislike}.",
        "I'd rather do without {dislike}.",
        "No. I'm not a friend of {dislike}.",
        "No, not even a little.",
    ),
    "loves": ("I like {likes}.", "I'm happiest with {likes}."),
    "hates": ("I don't like {dislikes}.", "I get annoyed by {dislikes}."),
    "nature": (
        "Yes, I think I'm {trait}.",
        "People say I'm {trait}, and I think they're right.",
        "{Trait}? I'd say so.",
        "Most of the time, yes. Quite {trait}.",
    ),
    "told": (
        "{fact} Why do you ask?",
        "I can tell you that. {fact}",
        "{fact} That's all there is to it.",
        "{fact} I'm happy to tell you.",
        "Sure. {fact}",
        "{fact} Does that help?",
        "{fact} What about you?",
    ),
    "story": ("Here's something about me. {fact}", "I can tell you one thing. {fact}"),
    "portrait": (
        "Here is a picture of me.",
        "All right, have a look.",
        "Yes, I can show you that.",
    ),
    "motto": ("It's something I often say. {motto}", "Because I believe it. {motto}"),
}
