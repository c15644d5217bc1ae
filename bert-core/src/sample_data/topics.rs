//! What the gazette writes about: each topic has words of its own, so that sentences of one article belong together.

/// The words of a topic.
pub(super) struct Topic {
    /// The event or institution itself.
    pub(super) name: &'static str,
    /// Things.
    pub(super) nouns: [&'static str; 6],
    /// What people did, in the past tense, to a thing.
    pub(super) verbs: [&'static str; 5],
    /// What things are like.
    pub(super) adjectives: [&'static str; 5],
    /// Who is there, without an article.
    pub(super) role: &'static str,
    /// Where it is.
    pub(super) place: &'static str,
}

macro_rules! topics {
    ($($name:literal: [$($noun:literal)*] [$($verb:literal)*] [$($adjective:literal)*] $role:literal, $place:literal;)*) => {
        pub(super) const TOPICS: &[Topic] = &[$(Topic {
            name: $name,
            nouns: [$($noun),*],
            verbs: [$($verb),*],
            adjectives: [$($adjective),*],
            role: $role,
            place: $place,
        }),*];
    };
}

topics! {
    "harvest fair": ["pumpkin" "marrow" "cider" "wheelbarrow" "scarecrow" "hay bale"] ["weighed" "grew" "polished" "judged" "carted"] ["ripe" "enormous" "golden" "prize" "muddy"] "farmer", "fairground";
    "football match": ["goal" "penalty" "whistle" "striker" "goalpost" "jersey"] ["kicked" "tackled" "headed" "saved" "scored"] ["muddy" "offside" "thrilling" "unbeaten" "narrow"] "goalkeeper", "pitch";
    "council meeting": ["budget" "motion" "bylaw" "petition" "ballot" "agenda"] ["debated" "approved" "postponed" "amended" "signed"] ["public" "lengthy" "unanimous" "formal" "disputed"] "councillor", "town hall";
    "bridge repair": ["girder" "rivet" "arch" "scaffold" "parapet" "pillar"] ["welded" "inspected" "braced" "painted" "tightened"] ["rusty" "stone" "narrow" "cracked" "sturdy"] "engineer", "riverbank";
    "library": ["novel" "shelf" "catalogue" "atlas" "bookmark" "dictionary"] ["borrowed" "returned" "stamped" "renewed" "read"] ["overdue" "leather" "dusty" "quiet" "illustrated"] "librarian", "reading room";
    "bakery": ["loaf" "oven" "pastry" "dough" "rye bread" "cinnamon bun"] ["kneaded" "baked" "glazed" "sliced" "buttered"] ["crusty" "warm" "floury" "fresh" "burnt"] "baker", "bakehouse";
    "storm": ["thunder" "lightning" "roof tile" "flood" "gale" "barometer"] ["battered" "soaked" "drenched" "flattened" "forecast"] ["fierce" "sudden" "howling" "dark" "violent"] "forecaster", "weather station";
    "school play": ["curtain" "costume" "script" "spotlight" "scenery" "rehearsal"] ["rehearsed" "recited" "sewed" "applauded" "prompted"] ["dramatic" "forgotten" "velvet" "tragic" "comic"] "actor", "stage";
    "lost dog": ["spaniel" "collar" "kennel" "leash" "bone" "pawprint"] ["chased" "whistled for" "petted" "tracked" "fed"] ["brown" "frightened" "wagging" "hungry" "loyal"] "vet", "dog park";
    "railway": ["locomotive" "timetable" "carriage" "signal box" "ticket" "sleeper"] ["coupled" "delayed" "boarded" "shunted" "oiled"] ["punctual" "steaming" "overcrowded" "late" "express"] "stationmaster", "platform";
    "choir concert": ["hymn" "chorus" "soprano" "anthem" "harmony" "songbook"] ["sang" "hummed" "conducted" "arranged" "performed"] ["melodious" "solemn" "joyful" "tuneful" "loud"] "conductor", "chapel";
    "fishing fleet": ["trawler" "net" "herring" "harbour light" "anchor" "mackerel"] ["hauled" "netted" "salted" "gutted" "landed"] ["slippery" "salty" "silver" "fishy" "seaworthy"] "skipper", "quay";
    "chess club": ["pawn" "rook" "bishop" "chessboard" "gambit" "endgame"] ["captured" "sacrificed" "promoted" "checkmated" "defended"] ["cunning" "tactical" "silent" "brilliant" "drawn"] "grandmaster", "club room";
    "observatory": ["telescope" "comet" "planet" "eclipse" "lens" "star chart"] ["observed" "magnified" "photographed" "charted" "discovered"] ["distant" "faint" "glowing" "celestial" "orbiting"] "astronomer", "dome";
    "hospital": ["bandage" "ward" "stretcher" "thermometer" "medicine" "plaster cast"] ["treated" "bandaged" "examined" "vaccinated" "nursed"] ["sterile" "feverish" "healthy" "broken" "painless"] "surgeon", "clinic";
    "beekeeping": ["hive" "honeycomb" "swarm" "beeswax" "smoker" "queen bee"] ["smoked" "harvested" "stung" "bottled" "requeened"] ["buzzing" "sticky" "sweet" "busy" "drowsy"] "beekeeper", "apiary";
    "post office": ["parcel" "envelope" "postcard" "letterbox" "telegram" "postage stamp"] ["posted" "sorted" "delivered" "addressed" "sealed"] ["registered" "misdirected" "prompt" "airmail" "torn"] "postman", "sorting office";
    "flower show": ["orchid" "rosebush" "greenhouse" "bouquet" "tulip" "flowerpot"] ["planted" "pruned" "watered" "repotted" "picked"] ["fragrant" "blooming" "wilted" "scarlet" "rare"] "gardener", "glasshouse";
    "court case": ["verdict" "jury" "witness" "alibi" "lawsuit" "testimony"] ["accused" "acquitted" "questioned" "sentenced" "appealed"] ["guilty" "legal" "innocent" "stern" "sworn"] "judge", "courthouse";
    "museum": ["fossil" "statue" "vase" "mummy" "exhibit" "tapestry"] ["restored" "unearthed" "displayed" "donated" "catalogued"] ["ancient" "priceless" "marble" "prehistoric" "roman"] "curator", "gallery";
    "cycling race": ["bicycle" "helmet" "saddle" "puncture" "pedal" "handlebar"] ["pedalled" "overtook" "sprinted past" "pumped" "repaired"] ["steep" "breathless" "winding" "fastest" "downhill"] "cyclist", "velodrome";
    "cheese dairy": ["cheddar" "milk churn" "rennet" "creamery vat" "goat" "cheese wheel"] ["churned" "milked" "curdled" "pressed" "ripened"] ["creamy" "smelly" "blue" "mouldy" "mild"] "dairymaid", "dairy";
    "fire brigade": ["fire engine" "hose" "ladder" "hydrant" "siren" "smoke alarm"] ["extinguished" "rescued" "doused" "evacuated" "rang"] ["blazing" "smoky" "charred" "brave" "burning"] "firefighter", "fire station";
    "clock tower": ["pendulum" "cogwheel" "chime" "dial" "minute hand" "mainspring"] ["wound" "regulated" "struck" "rewound" "mended"] ["ticking" "brass" "slow" "accurate" "stopped"] "clockmaker", "belfry";
    "photography club": ["camera" "tripod" "portrait" "darkroom" "negative" "film roll"] ["developed" "framed" "focused" "enlarged" "snapped"] ["blurred" "sepia" "grainy" "posed" "overexposed"] "photographer", "studio";
    "swimming gala": ["diving board" "backstroke" "swimsuit" "towel" "lifebuoy" "goggles case"] ["dived into" "splashed" "swam past" "paddled round" "raced round"] ["chlorinated" "wet" "shivering" "deep" "floating"] "lifeguard", "swimming pool";
}
