//! Adds up a file of sales by region; runs for every event of type sales.uploaded.
//!
//! The first line names the columns, in any order: region, quantity and price are needed. The helper gives data that is
//! text as a JSON text.
use std::collections::BTreeMap;

use nexus::{info, object, publish, warn, Event, Json, Outcome};

/// The fields of one line; one that is quoted may hold commas, and quotes as two. None: a quote is left open.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let field = fields.last_mut()?;
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    (!quoted).then_some(fields)
}

/// "249.9" is 24990 cents. None: it is no amount, or has more than two digits behind the point.
fn cents(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 2 || !whole.chars().chain(part.chars()).all(|c| c.is_ascii_digit()) {
        return None;
    }
    let part = format!("{:0<2}", part).parse::<i64>().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(part)
}

struct Columns {
    region: usize,
    quantity: usize,
    price: usize,
}

impl Columns {
    fn of(header: &str) -> Result<Columns, String> {
        let names = fields(header).ok_or("line 1: a quote is left open")?;
        let find = |name: &str| names.iter().position(|n| n.trim() == name).ok_or(format!("there is no column {}", name));
        Ok(Columns { region: find("region")?, quantity: find("quantity")?, price: find("price")? })
    }

    /// The region and the cents of one line; the error says what is wrong with it.
    fn sale(&self, line: &str) -> Result<(String, i64), &'static str> {
        let row = fields(line).ok_or("a quote is left open")?;
        let field = |at: usize| row.get(at).map(|f| f.trim()).ok_or("a field is missing");
        let quantity = field(self.quantity)?.parse::<u32>().map_err(|_| "the quantity is no number")?;
        let price = cents(field(self.price)?).ok_or("the price is no amount")?;
        let amount = price.checked_mul(quantity.into()).ok_or("the amount is too large")?;
        Ok((field(self.region)?.to_string(), amount))
    }
}

fn sum(event: Event) -> Outcome<Json> {
    let text = event.data.as_str().ok_or("the event's data is no text: send it as text/csv")?;
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, header) = lines.next().ok_or("the file is empty")?;
    let columns = Columns::of(header)?;
    let mut regions = BTreeMap::<String, i64>::new();
    let (mut sales, mut wrong) = (0, 0);
    for (at, line) in lines {
        match columns.sale(line) {
            Ok((region, amount)) => {
                let total = regions.entry(region).or_default();
                *total = total.checked_add(amount).ok_or("a sum is too large")?;
                sales += 1;
            }
            Err(why) => {
                warn!(format!("line {}: {}", at + 1, why));
                wrong += 1;
            }
        }
    }
    info!("summed", sales = sales, wrong = wrong);
    let totals = Json::Object(regions.into_iter().map(|(region, total)| (region, total.into())).collect());
    let summed = object! { sales: sales, wrong: wrong, cents: totals };
    publish("sales.summed", &summed)?;
    Ok(summed)
}

fn main() {
    nexus::run(sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_field_holds_commas_and_quotes() {
        assert_eq!(fields(r#"a,"b, ""c""",d"#).unwrap(), ["a", r#"b, "c""#, "d"]);
        assert_eq!(fields(r#"a,"b"#), None);
    }

    #[test]
    fn an_amount_is_exact() {
        assert_eq!([cents("249.9"), cents("0.10"), cents("7"), cents("1.005"), cents("-1"), cents("")],
                   [Some(24990), Some(10), Some(700), None, None, None]);
    }
}
