//! The parameters of `GET /admin/api/spend`.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};
use serde_json::json;

use super::BadParameter;
use super::days::parse_days;
use crate::constants::SPEND_PAGE_MAX;
use crate::messages::{SpendColumns, SpendGroup, SpendQuery};
use crate::parse::digits::parse_digits;
use crate::types::time::UtcDay;
use crate::wire::violation::{Rule, Violation};

/// The names of the parameters.
pub const PARAMETERS: [&str; 6] = ["by", "from", "to", "limit", "cursor", "format"];
/// The columns by which spend can be grouped, in the order of the reply.
pub const COLUMNS: [&str; 4] = ["day", "model", "plan", "user"];

/// A request for spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRequest {
    /// The page.
    pub query: SpendQuery,
    /// True for CSV.
    pub is_csv: bool,
}

/// Reads the parameters, in the order of [`PARAMETERS`]. `accept` is the request's `Accept`.
///
/// # Errors
/// The first parameter that is not as it should be.
pub fn parse_spend_request(
    values: &[Option<String>; 6],
    accept: Option<&str>,
    today: UtcDay,
) -> Result<SpendRequest, BadParameter> {
    let [by, from, to, limit, cursor, format] = values.each_ref().map(Option::as_deref);
    let (from, to) = parse_days(from, to, today)?;
    let cursor = cursor.map(|text| parse_cursor(text).ok_or(("cursor", Violation::plain(Rule::Format))));
    let is_csv = match format {
        Some("csv") => true,
        Some("json") => false,
        Some(_) => return Err(("format", Violation::new(Rule::Enum, json!(["json", "csv"])))),
        None => accept.is_some_and(|accept| accept.contains("text/csv")),
    };
    let query = SpendQuery { by: parse_columns(by)?, from, to, after: cursor.transpose()?, limit: parse_limit(limit)? };
    Ok(SpendRequest { query, is_csv })
}

fn parse_columns(by: Option<&str>) -> Result<SpendColumns, BadParameter> {
    let mut columns = SpendColumns::default();
    for name in by.unwrap_or("day").split(',') {
        let column = match name {
            "day" => &mut columns.day,
            "model" => &mut columns.model,
            "plan" => &mut columns.plan,
            "user" => &mut columns.user,
            _ => return Err(("by", Violation::new(Rule::Enum, json!(COLUMNS)))),
        };
        *column = true;
    }
    Ok(columns)
}

fn parse_limit(limit: Option<&str>) -> Result<u32, BadParameter> {
    let Some(limit) = limit else { return Ok(SPEND_PAGE_MAX) };
    match parse_digits::<u32>(limit) {
        None => Err(("limit", Violation::new(Rule::Type, "integer"))),
        Some(0) => Err(("limit", Violation::new(Rule::Min, 1))),
        Some(limit) if limit > SPEND_PAGE_MAX => Err(("limit", Violation::new(Rule::Max, SPEND_PAGE_MAX))),
        Some(limit) => Ok(limit),
    }
}

/// Returns the cursor of the groups after this one: base64url of JSON.
#[must_use]
pub fn write_cursor(group: &SpendGroup) -> String {
    let SpendGroup { day, plan, model, user } = group;
    let text = json!([day, plan, model, user]).to_string();
    Base64UrlSafeNoPadding::encode_to_string(text).unwrap_or_default()
}

fn parse_cursor(text: &str) -> Option<SpendGroup> {
    let json = Base64UrlSafeNoPadding::decode_to_vec(text, None).ok()?;
    let (day, plan, model, user) = serde_json::from_slice(&json).ok()?;
    Some(SpendGroup { day, plan, model, user })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: UtcDay = UtcDay(20_468);

    fn parse(name: &str, value: &str) -> Result<SpendRequest, BadParameter> {
        parse_spend_request(&PARAMETERS.map(|known| (known == name).then(|| value.to_owned())), None, TODAY)
    }

    #[test]
    fn the_columns_are_a_list_without_an_order() {
        let by = |value| parse("by", value).map(|request| request.query.by);
        let all = SpendColumns { day: true, model: true, plan: true, user: true };
        assert_eq!(by("user,plan,model,day"), Ok(all));
        assert_eq!(by("user"), Ok(SpendColumns { user: true, ..SpendColumns::default() }));
        assert_eq!(parse("limit", "7").unwrap().query.by, SpendColumns { day: true, ..SpendColumns::default() });
        for bad in ["", "day,", "subject", "day;user", "Day"] {
            assert_eq!(by(bad), Err(("by", Violation::new(Rule::Enum, json!(COLUMNS)))), "{bad}");
        }
    }

    #[test]
    fn a_page_has_at_most_a_thousand_rows() {
        let limit = |value| parse("limit", value).map(|request| request.query.limit);
        assert_eq!((limit("1"), limit("1000")), (Ok(1), Ok(1_000)));
        assert_eq!(parse("by", "day").unwrap().query.limit, 1_000);
        assert_eq!(limit("0"), Err(("limit", Violation::new(Rule::Min, 1))));
        assert_eq!(limit("1001"), Err(("limit", Violation::new(Rule::Max, 1_000))));
        assert_eq!(limit("x"), Err(("limit", Violation::new(Rule::Type, "integer"))));
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let group = SpendGroup { day: TODAY, plan: "gold".into(), model: "acme/x".into(), user: String::new() };
        assert_eq!(parse("cursor", &write_cursor(&group)).unwrap().query.after, Some(group));
        for bad in ["", "x", "eyJ9", "WzFd", "WyJhIiwiYiIsImMiLCJkIl0"] {
            assert_eq!(parse("cursor", bad), Err(("cursor", Violation::plain(Rule::Format))), "{bad}");
        }
    }

    #[test]
    fn csv_is_asked_for_by_a_parameter_or_by_the_header() {
        let is_csv = |format: Option<&str>, accept| {
            let values = PARAMETERS.map(|name| format.filter(|_| name == "format").map(str::to_owned));
            parse_spend_request(&values, accept, TODAY).map(|request| request.is_csv)
        };
        assert_eq!((is_csv(None, None), is_csv(Some("csv"), None)), (Ok(false), Ok(true)));
        assert_eq!(
            (is_csv(None, Some("text/csv;q=0.9")), is_csv(Some("json"), Some("text/csv"))),
            (Ok(true), Ok(false))
        );
        assert!(is_csv(Some("xml"), None).is_err());
    }
}
