//! What the media core says of lines, in the names of the layers above.

use parlor_media::quality as media;

use crate::domain::quality::{Direction, Flow, Level, Quality, Reason, Report};

pub(super) fn report_of(report: media::Report) -> Report {
    let media::Report { level, cause, score, rtt_ms, up, down, share_pct, regular } = report;
    let (reason, direction) = cause.unzip();
    let quality =
        Quality { level: level_of(level), reason: reason.map(reason_of), direction: direction.map(direction_of) };
    Report { quality, score, rtt_ms, up: flow_of(up), down: flow_of(down), share_pct, regular }
}

fn level_of(level: media::Level) -> Level {
    match level {
        media::Level::Excellent => Level::Excellent,
        media::Level::Good => Level::Good,
        media::Level::Poor => Level::Poor,
        media::Level::Lost => Level::Lost,
    }
}

fn reason_of(reason: media::Reason) -> Reason {
    match reason {
        media::Reason::Loss => Reason::Loss,
        media::Reason::Jitter => Reason::Jitter,
        media::Reason::Rtt => Reason::Rtt,
        media::Reason::Freezes => Reason::Freezes,
        media::Reason::Bandwidth => Reason::Bandwidth,
        media::Reason::Silent => Reason::Silent,
    }
}

fn direction_of(direction: media::Direction) -> Direction {
    match direction {
        media::Direction::Up => Direction::Up,
        media::Direction::Down => Direction::Down,
    }
}

fn flow_of(flow: media::Flow) -> Flow {
    let media::Flow { loss_pm, jitter_ms, freezes } = flow;
    Flow { loss_per_mille: loss_pm, jitter_ms, freezes }
}
