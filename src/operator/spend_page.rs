//! A page of spend, as JSON and as CSV.

use serde_json::{Map, Value, json};

use super::csv::write_csv;
use super::spend_query::{COLUMNS, write_cursor};
use crate::messages::{SpendColumns, SpendQuery, SpendRow};

/// A page of spend.
pub struct SpendPage<'a> {
    query: &'a SpendQuery,
    rows: &'a [SpendRow],
}

impl<'a> SpendPage<'a> {
    /// Returns the page with the rows that a query found.
    #[must_use]
    pub const fn new(query: &'a SpendQuery, rows: &'a [SpendRow]) -> Self {
        Self { query, rows }
    }

    /// Returns the cursor of the next page, if this one is full.
    #[must_use]
    pub fn next_cursor(&self) -> Option<String> {
        let is_full = u32::try_from(self.rows.len()).is_ok_and(|count| count >= self.query.limit);
        self.rows.last().filter(|_| is_full).map(|row| write_cursor(&row.group()))
    }

    /// Returns the page as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let show = |row: &SpendRow| {
            let mut members: Map<String, Value> =
                self.columns(row).map(|(name, text)| (name.to_owned(), json!(text))).collect();
            members.insert("credits".to_owned(), json!(row.credits.to_string()));
            members.insert("predictions".to_owned(), json!(row.predictions));
            Value::Object(members)
        };
        json!({"data": self.rows.iter().map(show).collect::<Vec<_>>(), "next_cursor": self.next_cursor()})
    }

    /// Returns the page as CSV, with a header.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let names = COLUMNS.into_iter().filter(|name| is_column(self.query.by, name));
        let header: Vec<String> = names.chain(["credits", "predictions"]).map(str::to_owned).collect();
        let row = |row: &SpendRow| {
            let groups = self.columns(row).map(|(_, text)| text.unwrap_or_default());
            groups.chain([row.credits.to_string(), row.predictions.to_string()]).collect()
        };
        write_csv(&std::iter::once(header).chain(self.rows.iter().map(row)).collect::<Vec<_>>())
    }

    /// Returns the columns of a row, each with its name. A user that was deleted has no text.
    fn columns(&self, row: &SpendRow) -> impl Iterator<Item = (&'static str, Option<String>)> {
        let texts = [
            Some(row.day.to_iso_date()),
            Some(row.model.clone()),
            Some(row.plan.clone()),
            Some(row.user.clone()).filter(|user| !user.is_empty()),
        ];
        let by = self.query.by;
        COLUMNS.into_iter().zip(texts).filter(move |(name, _)| is_column(by, name))
    }
}

fn is_column(by: SpendColumns, name: &str) -> bool {
    match name {
        "day" => by.day,
        "model" => by.model,
        "plan" => by.plan,
        _ => by.user,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::credits::MicroCredits;
    use crate::types::time::UtcDay;

    fn row(plan: &str, user: &str) -> SpendRow {
        let credits = MicroCredits::parse("2.5").unwrap();
        let (day, model) = (UtcDay(20_468), "acme/x".to_owned());
        SpendRow { day, plan: plan.into(), model, user: user.into(), credits, predictions: 3 }
    }

    fn query(by: SpendColumns, limit: u32) -> SpendQuery {
        SpendQuery { by, from: UtcDay(20_400), to: UtcDay(20_468), after: None, limit }
    }

    #[test]
    fn a_page_shows_the_columns_that_were_asked_for() {
        let all = query(SpendColumns { day: true, model: true, plan: true, user: true }, 2);
        let rows = [row("gold", "abc"), row("=gold", "")];
        let page = SpendPage::new(&all, &rows);
        let (day, model) = ("2026-01-15", "acme/x");
        let data = json!([
            {"day": day, "model": model, "plan": "gold", "user": "abc", "credits": "2.5", "predictions": 3},
            {"day": day, "model": model, "plan": "=gold", "user": null, "credits": "2.5", "predictions": 3},
        ]);
        assert_eq!(page.to_json(), json!({"data": data, "next_cursor": write_cursor(&rows[1].group())}));
        let csv = "day,model,plan,user,credits,predictions\r\n2026-01-15,acme/x,gold,abc,2.5,3\r\n\
                   2026-01-15,acme/x,'=gold,,2.5,3\r\n";
        assert_eq!(page.to_csv(), csv);
        let by_plan = query(SpendColumns { plan: true, ..SpendColumns::default() }, 3);
        let page = SpendPage::new(&by_plan, &rows[..1]);
        let data = json!([{"plan": "gold", "credits": "2.5", "predictions": 3}]);
        assert_eq!(page.to_json(), json!({"data": data, "next_cursor": null}));
        assert_eq!(page.to_csv(), "plan,credits,predictions\r\ngold,2.5,3\r\n");
    }
}
