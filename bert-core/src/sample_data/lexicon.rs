//! The words that do not depend on the topic: names of people and places, days, hours and small numbers.
//!
//! The first words of a list are drawn more often: see [`super::facts::pick`].

/// Some have accents, so that bytes, characters and a tokenizer that strips accents are all put to the test.
pub(super) const WOMEN: &[&str] = &[
    "Agnes",
    "Clara",
    "Mabel",
    "Zo\u{eb}",
    "Dora",
    "Winifred",
    "Ida",
    "Beatrice",
    "Ren\u{e9}e",
    "Hattie",
    "Nora",
    "Elsie",
    "Maud",
    "Theodora",
    "Florence",
    "Rosa",
    "Cordelia",
    "Prudence",
    "Olive",
    "Mathilda",
];

pub(super) const MEN: &[&str] = &[
    "Edwin",
    "Percy",
    "Silas",
    "Jasper",
    "Andr\u{e9}",
    "Oswald",
    "Cecil",
    "Harold",
    "Ernest",
    "Lionel",
    "Barnaby",
    "Rufus",
    "Gilbert",
    "Albert",
    "Horace",
    "Leopold",
    "Chester",
    "Wilfred",
    "Montague",
    "Bj\u{f6}rn",
];

/// One person in six is called like a town instead.
pub(super) const SURNAMES: &[&str] = &[
    "Pickering",
    "Fairweather",
    "Jessop",
    "Grimshaw",
    "Nettleship",
    "Abbott",
    "Underhill",
    "Cartwright",
    "Merriman",
    "Quigley",
    "Lockwood",
    "Tapper",
    "Ibbotson",
    "Dunmore",
    "Wagstaff",
    "Yardley",
    "Ellery",
    "Vickers",
    "Pomfret",
    "Rookwood",
    "Barlow",
    "Satterley",
    "Kettlewell",
    "Ogden",
    "Hartley",
    "Trimble",
    "Copley",
    "Bagshaw",
    "Penhallow",
    "Larkin",
    "Snodgrass",
    "Wetherall",
];

/// 24 stems and 8 endings make 192 towns.
pub(super) const PLACE_STEMS: &[&str] = &[
    "Thistle", "Bramble", "Pepper", "Mallow", "Badger", "Clover", "Winter", "Heron", "Barley",
    "Amber", "Nettle", "Hazel", "Quill", "Juniper", "Plover", "Copper", "Mickle", "Tansy", "Larch",
    "Ember", "Fennel", "Sorrel", "Marl", "Wother",
];

/// See [`PLACE_STEMS`].
pub(super) const PLACE_ENDINGS: &[&str] = &[
    "by", "wick", "ford", "ham", "mere", "stead", "combe", "field",
];

/// Without "river": sentences say "the Wend" and "the river Wend".
pub(super) const RIVERS: &[&str] = &[
    "Wend", "Tibble", "Ousel", "Sallow", "Lazy", "Pell", "Gurgle", "Thrim", "Dabble", "Eddle",
];

pub(super) const STREET_NAMES: &[&str] = &[
    "Mill", "Church", "Goose", "Market", "Orchard", "Lantern", "Cobbler", "Tinker", "Willow",
    "Chapel", "Button", "Magpie", "Saddler", "Sunny", "Teapot",
];

pub(super) const STREET_KINDS: &[&str] = &["Street", "Lane", "Row", "Hill"];

pub(super) const DAYS: &[&str] = &[
    "Saturday",
    "Sunday",
    "Friday",
    "Monday",
    "Wednesday",
    "Thursday",
    "Tuesday",
];

/// Whole hours, to stand before "o'clock".
pub(super) const HOURS: &[&str] = &[
    "three", "seven", "ten", "four", "eight", "six", "eleven", "nine", "two", "five",
];

/// Small numbers of things, all of them plural.
pub(super) const FEW: &[&str] = &[
    "three", "seven", "two", "five", "four", "nine", "six", "eight", "eleven", "twelve",
];

/// Adjectives of nations that are the names of their languages too.
pub(super) const NATIONS: &[&str] = &[
    "French",
    "Dutch",
    "Welsh",
    "Italian",
    "Danish",
    "Spanish",
    "Greek",
    "Swedish",
    "Portuguese",
    "Finnish",
    "Icelandic",
    "Hungarian",
];
