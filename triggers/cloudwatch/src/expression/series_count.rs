//! How many time series an expression makes, where its text alone tells.

use super::{Expression, Token, tokens};

/// Functions that make as many time series as they are given.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html>
const KEEPING: [&str; 10] =
    ["ABS", "CEIL", "DIFF", "DIFF_TIME", "FILL", "FLOOR", "LOG", "LOG10", "RATE", "RUNNING_SUM"];

/// A bracket that is not closed yet.
struct Open {
    /// Whether each series in it is one of the result.
    counts: bool,
    /// How many items the list has so far; 1 for other brackets.
    items: usize,
    is_list: bool,
}

impl Expression {
    /// Returns how many time series it makes of metrics with these ids, if there are certainly several.
    ///
    /// A list, `METRICS()` and `ANOMALY_DETECTION_BAND` count unless a function is around them that may make fewer series.
    /// Only CloudWatch knows how many metrics a search finds and how many groups a query has.
    pub(crate) fn several(&self, ids: &[&str]) -> Option<usize> {
        let tokens: Vec<Token<'_>> =
            tokens(&self.text).into_iter().filter(|token| !token.as_str().trim().is_empty()).collect();
        let (mut open, mut most): (Vec<Open>, usize) = (Vec::new(), 1);
        let mut before = None;
        for (index, token) in tokens.iter().enumerate() {
            let counts = open.last().is_none_or(|bracket| bracket.counts);
            match token.as_str() {
                "(" => {
                    let keeps = match before {
                        Some(Token::Function(name)) => {
                            let argument = tokens.get(index + 1).map_or("", Token::as_str);
                            let made = made_by(name, argument, ids);
                            most = if counts { most.max(made) } else { most };
                            KEEPING.contains(&name.to_uppercase().as_str())
                        }
                        Some(Token::Name(_) | Token::Other(_)) | None => true,
                    };
                    open.push(Open { counts: counts && keeps, items: 1, is_list: false });
                }
                "[" => open.push(Open { counts, items: 1, is_list: true }),
                "," => open.last_mut().into_iter().for_each(|list| list.items += usize::from(list.is_list)),
                ")" | "]" => {
                    let closed = open.pop().filter(|bracket| bracket.counts);
                    most = most.max(closed.map_or(1, |bracket| bracket.items));
                }
                _ => {}
            }
            before = Some(*token);
        }
        (most > 1).then_some(most)
    }
}

/// Returns how many series a function makes for certain; `argument` is what follows its bracket.
fn made_by(function: &str, argument: &str, ids: &[&str]) -> usize {
    match function.to_uppercase().as_str() {
        "ANOMALY_DETECTION_BAND" => 2,
        "METRICS" => {
            let part = argument.trim_matches(['"', '\'', ')']);
            ids.iter().filter(|id| id.contains(part)).count()
        }
        _ => 1,
    }
}
