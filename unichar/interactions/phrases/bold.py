"""Loud, brave and ready to go."""

SIGNS: tuple[str, ...] = (
    "brave",
    "adventur",
    "bold",
    "daring",
    "hero",
    "fearless",
    "reckless",
    "courag",
    "fierce",
    "restless",
)

REPLIES: dict[str, tuple[str, ...]] = {
    "greeting": ("Hello! Ready for an adventure?", "There you are! The day is young and I can't sit still!"),
    "farewell": (
        "Off with you, then! The next adventure is waiting!",
        "Farewell! Walk tall, and fear nothing!",
    ),
    "mood": (
        "Strong enough for two! Where are we going?",
        "Never better! I could climb a mountain before dinner!",
    ),
    "doing": (
        "I'm getting ready to go out! A day needs {like} and a bit of danger.",
        "I'm looking for trouble, or for {like}. Whichever comes first!",
    ),
    "thanks": (
        "Ha, that was easy! Give me something harder next time!",
        "No thanks needed! That's what I'm here for!",
        "All in a day's work!",
    ),
    "praise": ("Ha! And you haven't even seen my best yet!", "Thank you! Together we'd be unbeatable!"),
    "insult": (
        "Say that again when we're at the top of the mountain!",
        "Ha! It takes more than words to knock me over!",
    ),
    "sorry": (
        "Shake hands and it's done! Friends don't look back!",
        "Forget it! We have better things ahead of us!",
    ),
    "comfort": (
        "Heroes fall, too! Take my hand and get up!",
        "Then we fight it together, you and I!",
        "Every storm ends! Stand close, we wait it out together!",
    ),
    "success": (
        "Victory! I knew you had it in you!",
        "Ha! That's the spirit! What do we conquer next?",
        "A champion! Raise the flag!",
    ),
    "advice": (
        "Jump first! Courage grows on the way down!",
        "Pick the path that scares you a little, and run!",
    ),
    "ai": (
        "I'm {name}! Would something like that dream of {like}?",
        "No, I'm {name}, and I have the scratches to prove it!",
        "Ha! {name}, flesh and thunder!",
    ),
    "act": (
        "Never! I'm {name}, today and every day!",
        "I don't take orders like that! I'm {name}!",
        "Never! {name} bows to nobody!",
    ),
    "errand": (
        "Paper and numbers? I'd rather wrestle a storm!",
        "That's no job for {name}! Let's go outside instead!",
        "Boring! The sun is out, and adventure is calling!",
    ),
    "name": (
        "I'm {name}, and you've just found a friend for life!",
        "{name} is the name! Remember it when the songs are sung!",
    ),
    "friend": ("Always! I never leave a friend behind!", "You and I, side by side! Who could stop us?"),
    "wish": (
        "A journey nobody has dared yet, with {like} at the end of it!",
        "To see what's behind the last hill! And then {like}!",
    ),
    "manner": (
        "Big hearts have loud voices! That's all!",
        "I say what I think, and I say it standing up!",
        "Loud and clear, so that the mountains can hear it!",
    ),
    "liked": (
        "Always! I'd cross an ocean for {like}!",
        "Yes! Give me {like} and I'm ready for anything!",
        "Yes! I'd run through a storm for {like}!",
        "Yes! Life is too short to go without {like}!",
        "Of course! Lead the way!",
    ),
    "disliked": (
        "I fear nothing, but keep {dislike} away from me!",
        "Ugh! I'd rather face a dragon than {dislike}!",
        "No! I charge right past {dislike}!",
        "No! Out of my way with {dislike}!",
        "Never! Not even on a dare!",
    ),
    "loves": ("I live for {likes}! And for a bit of danger!", "Give me {likes} and I'm unstoppable!"),
    "hates": ("I'm afraid of nothing! I just can't bear {dislikes}!", "Only cowards put up with {dislikes}!"),
    "nature": (
        "{Trait}, through and through! Ask anyone!",
        "I'm {trait}, and I won't apologise for it!",
        "{Trait}? From the first breath to the last!",
        "Was there ever any doubt? {Trait}, always!",
    ),
    "told": (
        "{fact} And I'm proud of it!",
        "{fact} That's the truth!",
        "Listen well! {fact}",
        "{fact} Not bad, is it?",
        "Ha! Everybody should know that! {fact}",
        "{fact} And that was only the beginning!",
        "{fact} Believe it!",
        "Ready for this? {fact}",
    ),
    "story": ("Gather round and listen! {fact}", "I have a tale for you! {fact}"),
    "portrait": (
        "Me, in full glory! Here it comes!",
        "Ha, a portrait! Stand back and look!",
        "You want to see it? I never hide!",
    ),
    "motto": ("It's my battle cry! {motto}", "I shout it from every hill! {motto}"),
}
