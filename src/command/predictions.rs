//! What `--dry-run` says of the cost of a run.

use super::print;
use bytesize::ByteSize;
use curvature_runner::plan::Plan;
use curvature_runner::run::Prediction;
use std::fmt::Write;

/// What a run will cost, setting by setting and in all.
pub fn text(plan: &Plan, predictions: &[Prediction]) -> String {
    let mut text = String::new();
    let (mut products, mut seconds, mut memory, mut known) = (0, 0.0, 0, true);
    let mut longest = 0.0f64;
    let _ = writeln!(text, "  predicted from a short trial, a run each:");
    for prediction in predictions {
        let job = &plan.jobs[prediction.job];
        let Some(cost) = prediction.cost else {
            known = false;
            let _ = writeln!(
                text,
                "    {} x {}: no trial",
                prediction.runs,
                print::setting(job)
            );
            continue;
        };
        products += prediction.runs * cost.products;
        seconds += prediction.seconds(plan);
        longest = longest.max(cost.seconds);
        let beside = if plan.spreads() {
            1
        } else {
            prediction.beside(plan)
        };
        memory = memory.max(cost.memory * beside);
        let _ = writeln!(
            text,
            "    {} x {}: {} products, {}, {}",
            prediction.runs,
            print::setting(job),
            cost.products,
            duration(cost.seconds),
            ByteSize(cost.memory),
        );
    }
    let more = if known { "" } else { " and what had no trial" };
    let _ = writeln!(
        text,
        "  in all: {products} products, about {}, {} beyond network and data{more}",
        // Runs side by side take as long as the longest of them at least.
        duration(seconds.max(longest)),
        ByteSize(memory),
    );
    text
}

/// "12 ms", "3.4 s", "2 h 5 min", "15 days".
pub fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match seconds {
        ..0.1 => format!("{:.1} ms", 1000.0 * seconds),
        ..100.0 => format!("{seconds:.1} s"),
        ..6000.0 => format!("{minutes} min"),
        ..172_800.0 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_written_for_people() {
        let texts = [0.0123, 3.44, 125.0, 7530.0, 1.3e6].map(duration);
        assert_eq!(texts, ["12.3 ms", "3.4 s", "2 min", "2 h 6 min", "15 days"]);
    }
}
