//! What the model says is checked before anybody believes it.

use super::ModelError;
use crate::domain::evidence::{Label, Scores};

/// Takes the model's output, one value for each label, in their order.
///
/// # Errors
/// [`ModelError::BadOutput`] when these are no probabilities: too few or many, not finite, not between 0 and 1, not 1 together.
pub fn probabilities(output: &[f32]) -> Result<Scores, ModelError> {
    let five = <[f32; 5]>::try_from(output);
    let five =
        five.map_err(|_| ModelError::BadOutput(format!("{} values for {} labels", output.len(), Label::ALL.len())));
    five.and_then(|five| Scores::checked(five).ok_or_else(|| ModelError::BadOutput(format!("{five:?}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_taken_in_the_order_of_labels() {
        let scores = probabilities(&[0.1, 0.05, 0.2, 0.6, 0.05]).unwrap();
        let each = Label::ALL.iter().map(|label| (label.as_str(), scores.of(*label)));
        let wanted = [("Drawing", 0.1), ("Hentai", 0.05), ("Neutral", 0.2), ("Porn", 0.6), ("Sexy", 0.05)];
        assert!(each.eq(wanted), "{scores:?}");
    }

    #[test]
    fn anything_else_is_bad_output() {
        let nan = f32::NAN;
        let bad: [&[f32]; 9] = [
            &[nan, 0.25, 0.25, 0.25, 0.25],
            &[nan; 5],
            &[f32::INFINITY, 0.0, 0.0, 0.0, 0.0],
            &[f32::NEG_INFINITY, 1.0, 0.0, 0.0, 0.0],
            &[0.1; 5],
            &[0.5; 5],
            &[-0.5, 1.5, 0.0, 0.0, 0.0],
            &[0.5, 0.5],
            &[],
        ];
        for output in bad {
            assert!(matches!(probabilities(output), Err(ModelError::BadOutput(_))), "{output:?} was taken");
        }
    }
}
