//! Words that measurements share.

use scn_data::DataError;
use scn_study::StudyError;
use scn_train::TrainError;

use crate::exit::BadInput;

/// Says of a dataset that is not at hand how to do without it.
pub(super) fn without_dataset(error: StudyError) -> anyhow::Error {
    if let StudyError::Train(cause) = &error
        && let TrainError::Data(missing @ (DataError::NoDirectory { .. } | DataError::Missing { .. })) = &**cause
    {
        let message = format!("{missing}; or measure on noise of the same shape with --synthetic");
        return BadInput(message).into();
    }
    error.into()
}

/// A rate in 10⁹ operations per second, or `-`.
pub(super) fn rate(gigaflops: Option<f64>) -> String {
    gigaflops.map_or_else(|| "-".into(), |rate| format!("{rate:.1}"))
}

/// A share as a percentage, or `-`.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.1} %", 100.0 * share))
}
