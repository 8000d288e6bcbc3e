//! Cells of a CSV file (RFC 4180).

/// Writes rows of cells, each row with CRLF at its end.
pub fn write_csv<'a, R: AsRef<[String]> + 'a>(rows: impl IntoIterator<Item = &'a R>) -> String {
    let row =
        |cells: &R| format!("{}\r\n", cells.as_ref().iter().map(|cell| write_cell(cell)).collect::<Vec<_>>().join(","));
    rows.into_iter().map(row).collect()
}

/// Writes a cell, in quotes if it needs them. Spreadsheets run a cell that begins with `=`, `+`, `-`, `@`, a tab or a
/// carriage return as a formula, with or without quotes
/// (<https://owasp.org/www-community/attacks/CSV_Injection>): such a cell gets an apostrophe in front.
fn write_cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_as_rfc_4180_says() {
        for (text, cell) in [
            ("", ""),
            ("plain text", "plain text"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(write_cell(text), cell);
        }
        let rows = [["a".to_owned(), "b,c".to_owned()], ["d".to_owned(), String::new()]];
        assert_eq!(write_csv(&rows), "a,\"b,c\"\r\nd,\r\n");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("=HYPERLINK(\"https://evil.example\",\"a\")", "\"'=HYPERLINK(\"\"https://evil.example\"\",\"\"a\"\")\""),
            ("\r=1", "\"'\r=1\""),
        ] {
            assert_eq!(write_cell(text), cell);
        }
    }
}
