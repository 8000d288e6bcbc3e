//! Where users' data is stored, and for how long.

use crate::config::problem::Problem;
use crate::config::reader::{Lookup, Reader};
use crate::constants::RETENTION_DAYS;
use crate::types::retention::Retention;

/// Where the platform may run an object and store its data.
///
/// The same object name in another jurisdiction is another object, so a changed jurisdiction starts without any data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Jurisdiction {
    /// The European Union.
    Eu,
    /// The United States.
    Us,
    /// Data centers that comply with FedRAMP.
    Fedramp,
}

/// Near where the Dispatcher is created: a hint to the platform. The words are the platform's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Location {
    /// Western North America.
    Wnam,
    /// Eastern North America.
    Enam,
    /// South America.
    Sam,
    /// Western Europe.
    Weur,
    /// Eastern Europe.
    Eeur,
    /// Asia and the Pacific.
    Apac,
    /// Oceania.
    Oc,
    /// Africa.
    Afr,
    /// The Middle East.
    Me,
}

/// The settings that every object needs, also one that needs no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageSettings {
    /// The jurisdiction of all objects, if there is one.
    pub jurisdiction: Option<Jurisdiction>,
    /// Near where the Dispatcher is created.
    pub dispatcher_location: Option<Location>,
    /// How long ended predictions are kept.
    pub retention: Retention,
}

impl StorageSettings {
    /// Reads these settings alone.
    ///
    /// # Errors
    /// Every problem of these settings.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new(lookup);
        let settings = read_storage(&mut reader);
        if reader.problems.is_empty() { Ok(settings) } else { Err(reader.problems) }
    }
}

pub(super) fn read_storage(reader: &mut Reader<'_>) -> StorageSettings {
    StorageSettings {
        jurisdiction: reader.read_optional_choice("JURISDICTION"),
        dispatcher_location: reader.read_optional_choice("DISPATCHER_LOCATION"),
        retention: Retention::from_days(reader.read_number("RETENTION_DAYS", RETENTION_DAYS)),
    }
}
