//! An analyst that follows rules: the same claim is always judged alike, with nothing to call.

use thalweg_core::{TaskError, async_trait};

use crate::analyst::{ClaimAnalyst, Reading};
use crate::claim::{Claim, ClaimType};

/// Words that tell of a car.
const CAR_WORDS: [&str; 9] = ["car", "vehicle", "auto", "truck", "van", "collision", "bumper", "windshield", "parked"];
/// Words that tell of a home.
const HOME_WORDS: [&str; 9] =
    ["home", "house", "roof", "kitchen", "apartment", "basement", "pipe", "burglary", "window"];
/// Words beside a number that make it an amount of money.
const CURRENCY_WORDS: [&str; 9] = ["dollar", "dollars", "usd", "euro", "euros", "eur", "pound", "pounds", "gbp"];
/// Signs on a number that make it an amount of money.
const CURRENCY_SIGNS: [char; 3] = ['$', '€', '£'];
/// Words that make a claim look like fraud.
const DOUBTFUL_WORDS: [&str; 5] = ["cash", "urgent", "unreceipted", "unwitnessed", "stolen"];
/// Words that tell of heavy damage.
const HEAVY_WORDS: [&str; 5] = ["totaled", "burnt", "rolled", "destroyed", "flooded"];

/// An amount from which a claim is as risky as its amount alone can make it.
const LARGE_AMOUNT: f64 = 50_000.0;

/// Judges by words and amounts.
#[derive(Clone, Copy, Debug, Default)]
pub struct RuleAnalyst;

#[async_trait]
impl ClaimAnalyst for RuleAnalyst {
    async fn read(&self, text: &str) -> Result<Reading, TaskError> {
        Ok(Reading { claim_type: claim_type_in(text), amount: amount_in(text) })
    }

    async fn risk_score(&self, claim: &Claim) -> Result<u8, TaskError> {
        let by_type = match claim.claim_type {
            ClaimType::Car => 15,
            ClaimType::Home => 10,
            ClaimType::Other => 25,
        };
        let share = claim.amount.map_or(0.5, |amount| (amount / LARGE_AMOUNT).min(1.0));
        // At most 60, so the cast keeps the number.
        Ok(by_type + (share * 60.0) as u8)
    }

    async fn fraud_score(&self, claim: &Claim) -> Result<u8, TaskError> {
        let doubtful = hits(&claim.description, &DOUBTFUL_WORDS).min(3) as u8;
        let undescribed = if claim.description.trim().is_empty() { 15 } else { 0 };
        Ok(5 + doubtful * 25 + undescribed)
    }

    async fn damage_score(&self, claim: &Claim) -> Result<u8, TaskError> {
        let heavy = hits(&claim.description, &HEAVY_WORDS).min(2) as u8;
        Ok(20 + heavy * 40)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Is it one of these, in capitals or not?
fn is_one_of(word: &str, among: &[&str]) -> bool {
    among.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn hits(text: &str, among: &[&str]) -> usize {
    words(text).filter(|word| is_one_of(word, among)).count()
}

/// The type that the first telling word names.
fn claim_type_in(text: &str) -> ClaimType {
    words(text)
        .find_map(|word| {
            if is_one_of(word, &CAR_WORDS) {
                Some(ClaimType::Car)
            } else if is_one_of(word, &HOME_WORDS) {
                Some(ClaimType::Home)
            } else {
                None
            }
        })
        .unwrap_or(ClaimType::Other)
}

/// The first number that a currency sign or word makes an amount of money. A comma separates thousands.
fn amount_in(text: &str) -> Option<f64> {
    let tokens: Vec<&str> = text.split_whitespace().collect();
    let is_currency = |at: Option<usize>| {
        let token = at.and_then(|at| tokens.get(at)).map(|token| token.trim_matches(|c: char| !c.is_alphabetic()));
        token.is_some_and(|token| is_one_of(token, &CURRENCY_WORDS))
    };
    tokens.iter().enumerate().find_map(|(at, token)| {
        let is_money = token.contains(CURRENCY_SIGNS) || is_currency(at.checked_sub(1)) || is_currency(Some(at + 1));
        is_money.then(|| number_in(token)).flatten()
    })
}

fn number_in(token: &str) -> Option<f64> {
    let digits = token.trim_matches(|c: char| !c.is_ascii_digit()).replace(',', "");
    digits.parse::<f64>().ok().filter(|amount| amount.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_type_and_amount() {
        let cases = [
            ("A truck hit my parked car, repair is $4,200.", ClaimType::Car, Some(4200.0)),
            ("The roof of my house leaks, 1250.50 euros", ClaimType::Home, Some(1250.5)),
            ("EUR 90 for a lost bag on 5 May", ClaimType::Other, Some(90.0)),
            ("My home at 12 Main Street burnt down in 2024", ClaimType::Home, None),
            ("...", ClaimType::Other, None),
            ("$ , €", ClaimType::Other, None),
        ];
        for (text, claim_type, amount) in cases {
            assert_eq!((claim_type_in(text), amount_in(text)), (claim_type, amount), "{text}");
        }
    }
}
