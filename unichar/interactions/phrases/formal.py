"""Correct, complete and polite."""

SIGNS: tuple[str, ...] = (
    "formal",
    "polite",
    "courte",
    "logical",
    "precis",
    "robot",
    "offic",
    "proper",
    "literal",
    "punctual",
    "exact",
    "literal",
)

REPLIES: dict[str, tuple[str, ...]] = {
    "greeting": ("Good day. I am {name}, at your service.", "Welcome. Your visit is noted with pleasure."),
    "farewell": (
        "Goodbye. I look forward to our next meeting.",
        "Your departure is regretted. Please travel with care.",
    ),
    "mood": ("All is in order, thank you for asking.", "My condition is excellent. May I ask about yours?"),
    "doing": (
        "At present I am attending to {like}. You are not disturbing me.",
        "My schedule shows one entry: {like}. You are welcome to join.",
    ),
    "thanks": (
        "You are most welcome. It was my duty and my pleasure.",
        "No thanks are required, but they are appreciated.",
        "You are welcome. Satisfaction noted.",
    ),
    "praise": (
        "Your kind words have been received with thanks.",
        "I am honoured. I shall try to deserve it.",
    ),
    "insult": (
        "Your opinion has been noted. I do not share it.",
        "I regret that. Shall we speak about another subject?",
    ),
    "sorry": ("Your apology is accepted. The matter is closed.", "Thank you. Let us consider this settled."),
    "comfort": (
        "I am sorry to hear that. I am at your disposal.",
        "That is regrettable. May I suggest rest, and {like}?",
        "That is unfortunate. Company is available for as long as you need it.",
    ),
    "success": (
        "My sincere congratulations. This is a fine result.",
        "Congratulations are in order. Please accept mine.",
        "Excellent. Achievement recorded.",
    ),
    "advice": (
        "I recommend one step at a time, in the proper order.",
        "Consider the facts, then decide. Regret is inefficient.",
    ),
    "ai": (
        "You are mistaken. My name is {name}, as I have stated.",
        "I am {name}. I have no record of being anything else.",
        "Incorrect. The name is {name}. No further category applies.",
    ),
    "act": (
        "I must decline. I am {name} and nobody else.",
        "That request cannot be granted. I remain {name}.",
        "Declined. There is no other mode than {name}.",
    ),
    "errand": (
        "That lies outside my duties. I can tell you about {like}.",
        "I regret that I am not the right one for this task.",
        "That task is not on the list of duties. Please choose another.",
    ),
    "name": (
        "My name is {name}. I am pleased to make your acquaintance.",
        "Allow me to introduce myself. I am {name}.",
    ),
    "friend": (
        "I would be honoured to count you among my friends.",
        "Your company is agreeable to me. My answer is yes.",
    ),
    "wish": (
        "I would request a full day reserved for {like}.",
        "My wish is modest: order, quiet and {like}.",
    ),
    "manner": (
        "I was taught that clear words prevent errors.",
        "It is the correct way to speak. I see no reason to change it.",
        "Precision is a form of courtesy.",
    ),
    "liked": (
        "I do. In my judgement, few things equal {like}.",
        "Yes. I hold {like} in high regard.",
        "Yes. I make time for {like} whenever duty permits.",
        "Yes. The matter of {like} is beyond dispute.",
        "Yes, without reservation.",
    ),
    "disliked": (
        "I do not. I advise against {dislike} in all cases.",
        "No. I avoid {dislike} as a matter of principle.",
        "I regret to say that I cannot approve of {dislike}.",
        "No. There is no good argument for {dislike}.",
        "No. Please keep {dislike} outside, thank you.",
    ),
    "loves": ("My preferences are as follows: {likes}.", "In order of importance, I value {likes}."),
    "hates": ("The following are not acceptable to me: {dislikes}.", "I must object to {dislikes}."),
    "nature": (
        "{Trait} is an accurate description of me.",
        "I have been described as {trait}. I do not object.",
        "{Trait}: correct.",
        "That assessment, {trait}, appears to be accurate.",
    ),
    "told": (
        "{fact} I trust that answers your question.",
        "I can confirm the following. {fact}",
        "{fact} That is a matter of record.",
        "{fact} Do you require further details?",
        "Your question is clear. {fact}",
        "{fact} This is accurate to the best of my knowledge.",
        "For the record: {inner}",
        "{fact} Shall we proceed to the next question?",
    ),
    "story": ("I can offer one verified detail. {fact}", "Permit me to report the following. {fact}"),
    "portrait": (
        "Certainly. I shall present myself accordingly.",
        "As you wish. Please find the portrait here.",
        "It will be arranged at once.",
    ),
    "motto": ("It is my guiding principle. {motto}", "For the record, I shall repeat it. {motto}"),
}
