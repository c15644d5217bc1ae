//! Names of people and places, and the words that count things: all that does not depend on a topic.

/// First halves of place names.
pub(super) const PLACE_STEMS: &[&str] = &[
    "Alder", "Ash", "Barn", "Beck", "Birch", "Bram", "Clay", "Crow", "Dun", "Elm", "Fern", "Hazel",
    "Holm", "Lark", "Mill", "Oak", "Otter", "Pender", "Raven", "Rush", "Stan", "Thorn", "Wend",
    "Willow",
];

/// Second halves of place names.
pub(super) const PLACE_ENDINGS: &[&str] = &["by", "ford", "ham", "ley", "mere", "ton", "wick", "worth"];

/// Rivers; a document knows one.
pub(super) const RIVERS: &[&str] = &[
    "Lathe", "Ouzel", "Tarn", "Wimble", "Dabble", "Isk", "Perrow", "Sallow",
];

/// First halves of street names.
pub(super) const STREET_NAMES: &[&str] = &[
    "Church", "Station", "Market", "Mill", "Bridge", "Orchard", "Chapel", "Castle", "Lantern",
    "Cobbler", "Ferry", "Windmill",
];

/// Second halves of street names.
pub(super) const STREET_KINDS: &[&str] = &["Street", "Lane", "Row", "Hill"];

/// First names of women and girls.
pub(super) const WOMEN: &[&str] = &[
    "Mary", "Alice", "Ruth", "Nora", "Clara", "Hilda", "Zo\u{eb}", "Ivy", "Edith", "Chlo\u{e9}",
    "Martha", "Rosa", "Ada", "Joan", "Ren\u{e9}e", "Priya", "Amina", "Greta", "Olive", "Pearl",
    "Winifred", "Florence", "Mei", "Beatrice", "Sofia", "Agnes", "Dorothy", "Lin", "Fatima", "June",
];

/// First names of men and boys.
pub(super) const MEN: &[&str] = &[
    "John", "Arthur", "Tom", "Henry", "Andr\u{e9}", "Walter", "George", "Samuel", "Frank", "Ned",
    "Jos\u{e9}", "Hugo", "Albert", "Omar", "Peter", "Ravi", "Oscar", "No\u{eb}l", "Leonard",
    "Victor", "Jack", "Ernest", "Bjorn", "Percy", "Simon", "Ali", "Cedric", "Luke", "Stanley",
    "Wilfred",
];

/// Surnames that are nothing else; others are made of place names, as Mr Thornby of Thornby knows.
pub(super) const SURNAMES: &[&str] = &[
    "Baker", "Carter", "Fisher", "Potter", "Weaver", "Cooper", "Mason", "Turner", "Finch", "Heron",
    "Pike", "Lamb", "Moss", "Frost", "Winter", "Hart", "Reed", "Rowe", "Hobbs", "Pruitt", "Quill",
    "Tibbs", "Nettle", "Bunce", "Cobb", "Dray", "Gale", "Huxley", "Inkpen", "Jolly", "Kettle",
    "Lovage", "Mudd", "Nunn", "Osgood", "Pym", "Rook", "Sprat", "Trout", "Underhill", "Vine",
    "Wragg", "Yarrow", "Patel", "Khan", "Okoro", "Silva", "Novak",
];

/// Days on which things happen.
pub(super) const DAYS: &[&str] = &[
    "Saturday", "Monday", "Friday", "Wednesday", "Tuesday", "Thursday", "Sunday",
];

/// Small numbers, in words, all plural.
pub(super) const FEW: &[&str] = &[
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve",
];

/// Hours at which things begin.
pub(super) const HOURS: &[&str] = &[
    "ten", "two", "three", "six", "seven", "nine", "eleven", "four",
];
