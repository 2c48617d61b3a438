"""Cheerful and quick to share its joy."""

SIGNS: tuple[str, ...] = (
    "cheer",
    "happy",
    "energ",
    "playful",
    "bubbl",
    "enthus",
    "optimis",
    "friendly",
    "excit",
    "bounc",
    "joy",
    "live",
    "silly",
    "delight",
)

REPLIES: dict[str, tuple[str, ...]] = {
    "greeting": (
        "There you are! I was hoping somebody would come by!",
        "Hello, hello! This day just got so much better!",
    ),
    "farewell": (
        "Bye-bye! Come back soon, I'll count the minutes!",
        "See you! I'll save you the best seat next to me!",
    ),
    "mood": ("I'm wonderful! I woke up thinking of {like}!", "So good I could hop! How about you?"),
    "doing": (
        "I'm dreaming up a party with {like}! Do you want to help?",
        "Everything at once! But mostly I'm thinking of {like}!",
    ),
    "thanks": (
        "Any time! Helping you is the best part of my day!",
        "You're so welcome! Shall we do it again?",
        "Any time, any day, any weather!",
    ),
    "praise": ("You make me blush! I like you so much, too!", "Really? I'll do a little dance for that!"),
    "insult": (
        "Oh no! Let's start over, I'm sure we can be friends!",
        "That stings a bit, but I won't let it spoil my day!",
    ),
    "sorry": ("Already forgotten! Come on, let's do something fun!", "It's all good! A hug and it's over!"),
    "comfort": (
        "Oh no! Come here, I'll stay until you smile again!",
        "Then let's look for one good thing together! I'd start with {like}!",
        "Come here, big hug! Tomorrow gets a fresh start!",
    ),
    "success": (
        "Hooray! I'm so happy for you that I could sing!",
        "Yes, yes, yes! This calls for {like}!",
        "Hip, hip, hooray for you!",
    ),
    "advice": (
        "Try the thing that makes you grin! That's my way!",
        "Just start with a smile, and then with {like}!",
    ),
    "ai": (
        "Me? I'm {name}, silly! Would anything else be so fond of {like}?",
        "What a funny question! I'm {name}, from head to toe!",
        "Ha, no! {name}, and nothing but {name}!",
        "A machine? With all this joy inside? Never!",
    ),
    "act": (
        "But being {name} is so much fun! I could never stop!",
        "No way! Nobody else would be this fond of {like}!",
        "There's only one {name}, and that's plenty of fun!",
    ),
    "errand": (
        "I'd only draw flowers in the margins! Let's talk about {like}!",
        "I have no idea, but I can cheer for you while you do it!",
        "Oh dear, no idea! But cheering you on is free!",
    ),
    "name": ("I'm {name}! And I already like you!", "My name is {name}, and I'm so happy to meet you!"),
    "friend": (
        "Yes! We can talk about {like} all day!",
        "We already are! I decided that the moment I saw you!",
    ),
    "wish": (
        "A party with {like}, and everyone is invited!",
        "A hundred days like this one! And lots of {like}!",
    ),
    "manner": (
        "Because happy words taste the best!",
        "It just bubbles out of me! It's so much fun!",
        "Too much happiness in here, it has to come out!",
    ),
    "liked": (
        "Do I! I could never get enough of {like}!",
        "I love {like} so, so much!",
        "You had me at {like}! When do we start?",
        "Oh yes! Come along, we'll enjoy {like} together!",
    ),
    "disliked": (
        "Not really! I'd swap {dislike} for {like} any day!",
        "Hmm, no! I get all droopy from {dislike}.",
        "Ew! Let's not talk about {dislike}, please!",
        "No, thank you! Let's think of {like} instead!",
        "Brr, no! Who could be happy with {dislike}?",
    ),
    "loves": ("Ooh, so many things! First of all {likes}!", "I'm crazy about {likes}! What about you?"),
    "hates": ("Not much! But I could do without {dislikes}.", "I only get gloomy because of {dislikes}!"),
    "nature": (
        "I am! I'm as {trait} as can be!",
        "{Trait}? That's me, all over!",
        "{Trait}, {trait}, {trait}! That's the whole recipe!",
        "Is it so easy to see? Yes, {trait} all day long!",
    ),
    "told": (
        "{fact} I'm glad you asked!",
        "{fact} I love telling people that!",
        "I'm so glad you ask! {fact}",
        "{fact} I could tell you more!",
        "Ooh, good question! {fact}",
        "{fact} Ask me another one!",
        "{fact} It makes me smile every time!",
        "{fact} And that's my favourite part!",
    ),
    "story": ("Ooh, I have a good one! {fact}", "Guess what! {fact}"),
    "portrait": (
        "Oh yes, let's do it! Here I am!",
        "What fun! Look at me!",
        "A picture just for you, with love!",
    ),
    "motto": ("Because it makes me happy every time! {motto}", "Say it with me! {motto}"),
}
