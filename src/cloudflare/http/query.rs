//! Reads the query parameters of a list.

use crate::constants::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::parse::digits::parse_digits;
use crate::wire::rejection::{Code, Rejection};
use crate::wire::violation::{Rule, Violation};

/// Returns the values of `names`, in their order.
///
/// # Errors
/// 400 for any other parameter, and for one that is repeated.
pub fn list_parameters<const N: usize>(query: &str, names: [&str; N]) -> Result<[Option<String>; N], Rejection> {
    let mut values = [const { None }; N];
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let slot = names.iter().zip(&mut values).find(|(known, _)| **known == name);
        let Some((known, slot)) = slot else {
            return Err(Rejection::new(Code::UnsupportedParameter, "list_parameter"));
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(bad_list_parameter(known, Violation::new(Rule::MaxItems, 1)));
        }
    }
    Ok(values)
}

/// Returns the number of rows of a page.
///
/// # Errors
/// 400 unless it is 1 to [`PAGE_SIZE_MAX`].
pub fn list_limit(value: Option<String>) -> Result<u32, Rejection> {
    let Some(value) = value else { return Ok(PAGE_SIZE_DEFAULT) };
    let violation = match parse_digits::<u32>(&value) {
        None => Violation::new(Rule::Type, "integer"),
        Some(0) => Violation::new(Rule::Min, 1),
        Some(limit) if limit > PAGE_SIZE_MAX => Violation::new(Rule::Max, PAGE_SIZE_MAX),
        Some(limit) => return Ok(limit),
    };
    Err(bad_list_parameter("limit", violation))
}

/// Returns the refusal of a list route's query parameter.
pub fn bad_list_parameter(name: &str, violation: Violation) -> Rejection {
    Rejection::parameter(Code::InvalidParameter, "list_parameter", name).because(violation)
}
