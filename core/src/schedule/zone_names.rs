//! Suggests the time zone that an unknown name stands for.
//!
//! A suggestion is read as a correction. It therefore never names a zone with another offset or another rule of daylight
//! saving than the place that was named: it mends a typing error, or comes from a table of cities and abbreviations.

use jiff::tz::TimeZoneDatabase;

/// The maximum length of a name for which a suggestion is sought, in bytes.
const MAX_LENGTH: usize = 64;
/// From how many letters of the last part on a name may have two typing errors.
const LONG_NAME: usize = 9;

/// Abbreviations that are no names of the database, and the zone whose time of winter or summer they name.
const ABBREVIATIONS: [(&str, &str); 19] = [
    ("AEDT", "Australia/Sydney"),
    ("AEST", "Australia/Sydney"),
    ("AKDT", "America/Anchorage"),
    ("AKST", "America/Anchorage"),
    ("BST", "Europe/London"),
    ("CDT", "America/Chicago"),
    ("CEST", "Europe/Berlin"),
    ("CST", "America/Chicago"),
    ("EDT", "America/New_York"),
    ("EEST", "Europe/Athens"),
    ("HKT", "Asia/Hong_Kong"),
    ("JST", "Asia/Tokyo"),
    ("KST", "Asia/Seoul"),
    ("MDT", "America/Denver"),
    ("MSK", "Europe/Moscow"),
    ("PDT", "America/Los_Angeles"),
    ("PST", "America/Los_Angeles"),
    ("SGT", "Asia/Singapore"),
    ("WEST", "Europe/Lisbon"),
];

/// Zones, and cities with the same time that are no names of the database. A city has the region of its zone, unless it is
/// written with another one. Some are here because their name is one letter away from a zone with another time.
const CITIES: [(&str, &str); 53] = [
    ("Africa/Cairo", "Alexandria Giza"),
    ("Africa/Casablanca", "Rabat Marrakesh Marrakech Fes Tangier Agadir"),
    ("Africa/Dar_es_Salaam", "Dodoma Zanzibar"),
    ("Africa/Johannesburg", "Cape_Town Pretoria Durban"),
    ("Africa/Lagos", "Abuja Kano Ibadan"),
    ("Africa/Nairobi", "Mombasa"),
    ("America/Bogota", "Medellin Cali Cartagena"),
    (
        "America/Chicago",
        "Houston Dallas Austin San_Antonio Fort_Worth Minneapolis Milwaukee New_Orleans Nashville Memphis St_Louis \
         Kansas_City Oklahoma_City Omaha",
    ),
    ("America/Denver", "Salt_Lake_City Albuquerque Cheyenne Colorado_Springs"),
    ("America/Guayaquil", "Quito"),
    ("America/Los_Angeles", "San_Francisco San_Diego Seattle Las_Vegas Sacramento Oakland Reno Monterey"),
    ("America/Mexico_City", "Guadalajara Puebla"),
    (
        "America/New_York",
        "Boston Miami Atlanta Washington Philadelphia Baltimore Orlando Tampa Charlotte Pittsburgh Cleveland Columbus \
         Cincinnati Raleigh Jacksonville Buffalo Savannah Rome",
    ),
    ("America/Phoenix", "Tucson Scottsdale"),
    ("America/Sao_Paulo", "Rio_de_Janeiro Brasilia Belo_Horizonte Porto_Alegre Curitiba"),
    ("America/Toronto", "Ottawa Quebec Quebec_City"),
    ("Asia/Bahrain", "Manama"),
    ("Asia/Bangkok", "Phuket Chiang_Mai"),
    ("Asia/Dubai", "Abu_Dhabi Sharjah"),
    ("Asia/Ho_Chi_Minh", "Hanoi Da_Nang"),
    ("Asia/Jakarta", "Surabaya Bandung"),
    ("Asia/Jerusalem", "Haifa"),
    ("Asia/Karachi", "Islamabad Lahore"),
    (
        "Asia/Kolkata",
        "Delhi New_Delhi Deli Mumbai Bombay Bangalore Bengaluru Pune Goa Chennai Madras Hyderabad Ahmedabad Jaipur Agra",
    ),
    ("Asia/Makassar", "Bali Denpasar"),
    ("Asia/Manila", "Cebu Davao"),
    ("Asia/Muscat", "Oman"),
    ("Asia/Qatar", "Doha"),
    ("Asia/Riyadh", "Jeddah Mecca Medina"),
    ("Asia/Seoul", "Busan"),
    (
        "Asia/Shanghai",
        "Beijing Peking Shenzhen Guangzhou Chengdu Wuhan Hangzhou Nanjing Tianjin Suzhou Lhasa",
    ),
    ("Asia/Tokyo", "Osaka Kyoto Nagoya Kobe Sapporo Yokohama Fukuoka Hiroshima"),
    ("Australia/Brisbane", "Gold_Coast Cairns"),
    ("Europe/Amsterdam", "Rotterdam The_Hague Utrecht Eindhoven"),
    ("Europe/Athens", "Thessaloniki"),
    (
        "Europe/Berlin",
        "Bonn Munich Hamburg Frankfurt Cologne Stuttgart Dresden Leipzig Dusseldorf Duesseldorf Hanover Hannover Bremen \
         Nuremberg",
    ),
    ("Europe/Brussels", "Antwerp Ghent Bruges"),
    ("Europe/Copenhagen", "Aarhus"),
    ("Europe/Dublin", "Cork Galway"),
    ("Europe/Helsinki", "Tampere Turku Espoo"),
    ("Europe/Istanbul", "Ankara Asia/Ankara Izmir Asia/Izmir"),
    ("Europe/Kyiv", "Odessa Odesa Lviv Kharkiv"),
    ("Europe/Lisbon", "Porto"),
    ("Europe/London", "Manchester Edinburgh Glasgow Birmingham Liverpool Cardiff Leeds Bristol"),
    ("Europe/Madrid", "Barcelona Valencia Seville Bilbao Cordoba"),
    ("Europe/Moscow", "Saint_Petersburg St_Petersburg Sochi"),
    ("Europe/Paris", "Lyon Marseille Nice Bordeaux Toulouse Lille Strasbourg"),
    ("Europe/Prague", "Brno"),
    ("Europe/Rome", "Milan Turin Naples Venice Florence Genoa Bologna"),
    ("Europe/Simferopol", "Yalta"),
    ("Europe/Warsaw", "Krakow Cracow Gdansk Wroclaw Poznan Lodz"),
    ("Europe/Zurich", "Bern Geneva Basel Lausanne"),
    ("Pacific/Auckland", "Wellington Christchurch"),
];

/// Returns the name that was probably meant, if one name alone can be.
pub(super) fn nearest_name(database: &TimeZoneDatabase, name: &str) -> Option<String> {
    if name.len() > MAX_LENGTH {
        return None;
    }
    let wanted = name.trim().to_lowercase();
    let abbreviations = ABBREVIATIONS.iter().map(|(short, zone)| ((*short).to_owned(), *zone));
    let mut known = abbreviations.chain(cities());
    if let Some((_, zone)) = known.find(|(known, _)| known.eq_ignore_ascii_case(&wanted)) {
        return Some(zone.to_owned());
    }
    mistyped(database, &wanted)
}

/// The cities of the table, with their regions, and the zone of each.
fn cities() -> impl Iterator<Item = (String, &'static str)> {
    CITIES.iter().flat_map(|(zone, cities)| {
        let region = zone.split('/').next().unwrap_or_default();
        let full_name = move |city: &str| {
            if city.contains('/') { city.to_owned() } else { format!("{region}/{city}") }
        };
        cities.split_whitespace().map(move |city| (full_name(city), *zone))
    })
}

/// The name nearest to one with typing errors, unless another zone is as near: of places alone, since a fixed offset
/// that is spelled alike is another offset.
fn mistyped(database: &TimeZoneDatabase, wanted: &str) -> Option<String> {
    let last_part = wanted.rsplit('/').next().unwrap_or_default();
    let errors = if last_part.chars().count() < LONG_NAME { 1 } else { 2 };
    let is_place = |name: &str| name.contains('/') && !name.starts_with("Etc/");
    let places = database.available().filter(|known| is_place(known.as_str()));
    let mut near: Vec<(usize, String)> = places
        .map(|known| (strsim::damerau_levenshtein(&known.as_str().to_lowercase(), wanted), known.to_string()))
        .filter(|(distance, _)| *distance <= errors)
        .collect();
    near.sort_unstable();
    let (distance, nearest) = near.first()?;
    let is_ambiguous = near.iter().skip(1).any(|(other, _)| other == distance);
    (!is_ambiguous).then(|| nearest.clone())
}

#[cfg(test)]
mod tests;
