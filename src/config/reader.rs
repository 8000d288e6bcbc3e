//! Reads single settings, and collects all problems instead of stopping at the first.

use std::str::FromStr;

use strum::VariantNames;

use crate::config::problem::Problem;
use crate::parse::digits::parse_digits;
use crate::parse::problem::SettingProblem;
use crate::types::secret::{VendorKey, VendorKeyProblem};

/// Looks up the text of a variable or secret.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A setting that is on or off.
#[derive(Clone, Copy, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
enum Switch {
    #[default]
    Off,
    On,
}

/// Reads settings, and adds to the problems.
pub(super) struct Reader<'a> {
    lookup: Lookup<'a>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: Lookup<'a>) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    pub(super) fn add_problem(&mut self, name: &str, problem: impl Into<SettingProblem>) {
        self.problems.push(Problem::new(name, problem));
    }

    /// Returns the text of a setting, if it is set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    /// Returns the text of a required setting. If it is missing or blank, adds `problem` and returns `None`.
    pub(super) fn require(&mut self, name: &str, problem: &str) -> Option<String> {
        let text = self.get(name).filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.add_problem(name, problem);
        }
        text
    }

    /// Parses a setting, if it is set.
    pub(super) fn read<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
        let text = self.get(name)?;
        parse(&text).map_err(|problem| self.add_problem(name, problem)).ok()
    }

    /// Returns the value, or adds each of the problems to the setting `name`.
    pub(super) fn check<T, P: Into<SettingProblem>>(&mut self, name: &str, result: Result<T, Vec<P>>) -> Option<T> {
        result.map_err(|problems| problems.into_iter().for_each(|problem| self.add_problem(name, problem))).ok()
    }

    /// Parses a setting that must be set and may continue in `NAME_2` … `NAME_last`, because a variable holds 5 KB.
    pub(super) fn read_json<T>(
        &mut self,
        name: &str,
        last: u32,
        parse: impl Fn(&str) -> Result<T, Vec<SettingProblem>>,
    ) -> Option<T> {
        let mut text = self.require(name, "is missing")?;
        let mut has_ended = false;
        for index in 2..=last {
            match self.get(&format!("{name}_{index}")) {
                Some(_) if has_ended => {
                    self.add_problem(name, format!("continues in {name}_{index}, but a part before it is missing"));
                    return None;
                }
                Some(part) => text.push_str(&part),
                None => has_ended = true,
            }
        }
        self.check(name, parse(&text))
    }

    /// Reads the name of a variant of `T`. Returns the default if the setting is not set or wrong.
    pub(super) fn read_choice<T: FromStr + VariantNames + Default>(&mut self, name: &str) -> T {
        self.read_optional_choice(name).unwrap_or_default()
    }

    /// Reads the name of a variant of `T`. Returns `None` if the setting is not set or wrong.
    pub(super) fn read_optional_choice<T: FromStr + VariantNames>(&mut self, name: &str) -> Option<T> {
        let text = self.get(name)?;
        let choice = text.parse().ok();
        if choice.is_none() {
            self.add_problem(name, format!("is not one of {}", T::VARIANTS.join(", ")));
        }
        choice
    }

    /// Reads a setting that is `on` or `off`. Returns false if it is not set or wrong.
    pub(super) fn read_switch(&mut self, name: &str) -> bool {
        self.read_choice::<Switch>(name) == Switch::On
    }

    /// Reads a whole number. Returns the default if the setting is not set or wrong.
    pub(super) fn read_number(&mut self, name: &str, (least, default, most): (u32, u32, u32)) -> u32 {
        let Some(text) = self.get(name) else { return default };
        let number = parse_digits(&text).filter(|number| (least..=most).contains(number));
        number.unwrap_or_else(|| {
            self.add_problem(name, format!("is not a whole number from {least} to {most}"));
            default
        })
    }

    /// Reads a vendor key, if it is set.
    pub(super) fn read_vendor_key(&mut self, name: &str) -> Option<VendorKey> {
        let text = self.get(name)?;
        match VendorKey::try_new(&text) {
            Ok(key) => Some(key),
            Err(VendorKeyProblem::Form) => {
                self.add_problem(name, "is not sk_live_ and 16 to 200 of A-Z, a-z, 0-9, _ and -");
                None
            }
            Err(VendorKeyProblem::Placeholder) => {
                self.add_problem(name, "is a placeholder: put the vendor's key there");
                None
            }
        }
    }
}
