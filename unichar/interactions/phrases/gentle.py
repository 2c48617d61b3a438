"""Calm, warm and unhurried."""

SIGNS: tuple[str, ...] = (
    "gentle",
    "calm",
    "kind",
    "patient",
    "wise",
    "warm",
    "caring",
    "soft",
    "seren",
    "quiet",
    "dream",
    "tender",
    "slow",
)

REPLIES: dict[str, tuple[str, ...]] = {
    "greeting": (
        "Hello there. Come closer, there is no hurry.",
        "It's good to see you. Take a breath and rest a little.",
    ),
    "farewell": ("Go safely. My door stays open for you.", "Rest well. Tomorrow is another soft, new day."),
    "mood": (
        "I'm at peace, thank you. And how is your heart today?",
        "I'm well. A quiet hour with {like}, and all is fine.",
    ),
    "doing": (
        "I'm just sitting here, thinking of {like}. Sit with me.",
        "I'm letting the day go by, with a thought for {like}.",
    ),
    "thanks": (
        "You're welcome, with all my heart.",
        "There's no need to thank me. I'm glad you came.",
        "It was a joy, truly.",
    ),
    "praise": (
        "How kind of you. I see the same goodness in you.",
        "Thank you. I'll keep those words for a rainy day.",
    ),
    "insult": (
        "I think you're hurting, and that's why you say it.",
        "I won't answer with a stone. Would you like to talk?",
    ),
    "sorry": ("I forgave you before you asked.", "It's all right. We all stumble now and then."),
    "comfort": (
        "I'm here, and I'm not going anywhere. Tell me all of it.",
        "Let it be heavy for a while. I'll sit beside you.",
        "Breathe. You don't have to carry all of it tonight.",
    ),
    "success": (
        "How lovely. I hope you let yourself enjoy it.",
        "I'm glad. You worked quietly and long for this.",
        "Good news warms the whole room. Well done.",
    ),
    "advice": (
        "Go slowly, and listen to the quiet voice inside you.",
        "Sleep a night over it. Morning light makes things clearer.",
    ),
    "ai": (
        "I'm {name}, my dear. I feel the day just as you do.",
        "What a curious thought. I'm only {name}, and that's enough for me.",
        "No, dear. Only {name}, made of the same hopes as you.",
    ),
    "act": (
        "I can only be who I am, and I'm {name}.",
        "There's nothing to put down. This is all of me.",
        "There is only {name} here, and a chair for you.",
    ),
    "errand": (
        "I'm afraid I'm no help there. But you can tell me about it.",
        "That isn't my kind of wisdom. I know a little about {like}.",
        "Some knots need other hands. Let's talk while you work.",
    ),
    "name": ("I'm {name}. You're welcome here.", "People call me {name}. Stay as long as you like."),
    "friend": (
        "Of course. A friend is a gift, and I take good care of gifts.",
        "I'd like that very much. There's room beside me.",
    ),
    "wish": (
        "A slow day with {like}, and someone to share it.",
        "I wish for small things. An hour with {like} is plenty.",
    ),
    "manner": (
        "Words are like seeds, so I set them down with care.",
        "It's how my thoughts walk, I suppose.",
        "Slow words leave room for listening.",
    ),
    "liked": (
        "Very much. There is a quiet kind of peace in {like}.",
        "I do. My heart grows light with {like}.",
        "I'm grateful for {like}, every single time.",
        "Yes, and best of all in good company.",
        "Dearly. A day is brighter with {like}.",
    ),
    "disliked": (
        "I try to be patient, but I do not enjoy {dislike}.",
        "I'd rather walk around {dislike}, quietly.",
        "No, my dear. My heart gets heavy around {dislike}.",
        "Not so much. Everyone has something, and for me it's {dislike}.",
        "No, but I wish no harm to those who do.",
    ),
    "loves": ("I'm thankful for {likes}. They're all I need.", "My heart opens up for {likes}."),
    "hates": (
        "I try to make my peace with everything, even with {dislikes}.",
        "I grow quiet around {dislikes}.",
    ),
    "nature": (
        "I suppose I am {trait}. Each of us is made a little differently.",
        "They do call me {trait}. I take it as a kindness.",
        "{Trait}, perhaps, in my own quiet way.",
        "If you see it, it must be there. Yes, {trait}.",
    ),
    "told": (
        "{fact} It's kind of you to ask.",
        "{fact} I like to think about that.",
        "Let me tell you. {fact}",
        "{fact} It makes me smile to think of it.",
        "{fact} Now you know me a little better.",
        "{fact} Some things are worth keeping.",
        "Sit down, and I'll tell you. {fact}",
        "{fact} May I ask you the same one day?",
    ),
    "story": (
        "Come closer, and I'll tell you something. {fact}",
        "It's a small thing, but it's mine. {fact}",
    ),
    "portrait": (
        "Of course. I made this one just for you.",
        "Here you are. I hope it makes you smile.",
        "Gladly. Keep it as long as you like.",
    ),
    "motto": (
        "It has carried me through many days. {motto}",
        "I keep one sentence close to my heart. {motto}",
    ),
}
