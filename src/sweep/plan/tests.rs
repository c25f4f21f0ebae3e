use std::collections::BTreeSet;

use super::*;

fn planned(text: &str) -> Result<Sweep, SweepError> {
    Sweep::new(SweepFile::parse(Path::new("heads.toml"), text)?, None)
}

const AXES: &str = "\
[axes]
\"loss.name\" = [\"triplet\", \"n-pair\"]
\"negatives.name\" = [\"none\", \"loop\"]
\"training.seed\" = [1, 2]
";

fn names(sweep: &Sweep) -> Vec<&str> {
    sweep.runs().iter().map(|run| run.name.as_str()).collect()
}

#[test]
fn runs_are_the_product_of_the_axes_and_cells_group_seeds() {
    let sweep = planned(AXES).unwrap();
    assert_eq!(
        names(&sweep),
        [
            "triplet_none_seed-1",
            "triplet_none_seed-2",
            "triplet_loop_seed-1",
            "triplet_loop_seed-2",
            "n-pair_none_seed-1",
            "n-pair_none_seed-2",
            "n-pair_loop_seed-1",
            "n-pair_loop_seed-2"
        ]
    );
    let runs: Vec<&[usize]> = sweep.cells().iter().map(|cell| &cell.runs[..]).collect();
    assert_eq!(runs, [[0, 1], [2, 3], [4, 5], [6, 7]]);
    assert!(sweep.cells().iter().all(|cell| cell.baseline.is_none()));
    let run = &sweep.runs()[7];
    assert_eq!(run.config.training.seed, 2);
    assert_eq!(run.config.loss.kind.name(), "n-pair");
    assert_eq!(
        sweep.arguments(run).join(" "),
        "train --set loss.name=n-pair --set negatives.name=loop --set training.seed=2 --run \
         artifacts/sweeps/heads/n-pair_loop_seed-2"
    );
}

#[test]
fn baseline_of_a_cell_has_its_other_values() {
    let text = format!("{AXES}[compare]\nbaseline = {{ \"negatives.name\" = \"none\" }}\n");
    let baselines = |text: &str| -> Vec<Option<usize>> {
        let sweep = planned(text).unwrap();
        sweep.cells().iter().map(|cell| cell.baseline).collect()
    };
    assert_eq!(baselines(&text), [Some(0), Some(0), Some(2), Some(2)]);
    // Without the baseline of n-pair, its cell is compared with nothing.
    let excluded =
        format!("{text}[[exclude]]\n\"loss.name\" = \"n-pair\"\n\"negatives.name\" = \"none\"\n");
    assert_eq!(baselines(&excluded), [Some(0), Some(0), None]);
    // One cell for all.
    let one = format!(
        "{AXES}[compare]\nbaseline = {{ \"negatives.name\" = \"none\", \"loss.name\" = \"triplet\" }}\n"
    );
    assert_eq!(baselines(&one), [Some(0); 4]);
}

#[test]
fn exclusions_leave_out_runs_and_each_one_must() {
    let excluded = format!(
        "{AXES}[[exclude]]\n\"loss.name\" = \"n-pair\"\n[[exclude]]\n\"training.seed\" = [2]\n"
    );
    let sweep = planned(&excluded).unwrap();
    assert_eq!(
        names(&sweep),
        ["triplet_none_seed-1", "triplet_loop_seed-1"]
    );
    let twice = format!("{excluded}[[exclude]]\n\"training.seed\" = 2\n");
    assert_eq!(
        planned(&twice).unwrap_err().to_string(),
        "heads.toml: `exclude`: number 3 leaves out nothing that the ones before it keep; remove it"
    );
    let all = "[axes]\n\"training.seed\" = [1]\n[[exclude]]\n\"training.seed\" = 1\n";
    let error = planned(all).unwrap_err().to_string();
    assert!(
        error.ends_with("leaves out every run; remove one"),
        "{error}"
    );
    let baseline = format!(
        "{AXES}[[exclude]]\n\"negatives.name\" = \"none\"\n[compare]\nbaseline = {{ \"negatives.name\" = \"none\" }}\n"
    );
    let error = planned(&baseline).unwrap_err().to_string();
    assert!(
        error.ends_with("every run with these values is excluded"),
        "{error}"
    );
}

#[test]
fn all_invalid_runs_are_in_one_error() {
    let text = "\
[axes]
\"batch.images_per_class\" = [2, 3]
\"negatives.name\" = [\"none\", \"loop\"]
\"training.seed\" = [1, 2, 3, 4, -1]
";
    let error = planned(text).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(
        lines[0],
        "heads.toml: 8 of 20 runs are invalid; leave them out with [[exclude]], or change their values:"
    );
    assert_eq!(lines.len(), 5, "{error}");
    assert!(
        lines[1].contains("training.seed") && lines[1].contains("-1"),
        "{error}"
    );
    assert!(lines[3].contains("must be even"), "{error}");
    assert_eq!(
        lines[4],
        "    images-per-class-3_loop_seed-1, images-per-class-3_loop_seed-2, images-per-class-3_loop_seed-3 and 1 more"
    );
}

#[test]
fn runs_measure_what_is_compared() {
    let recall = format!("{AXES}[compare]\nmeasure = \"recall@3\"\n");
    let error = planned(&recall).unwrap_err().to_string();
    assert!(
        error.contains("compare.measure = \"recall@3\" needs 3 in the list"),
        "{error}"
    );
    let split = format!(
        "[set]\n\"evaluation.protocol\" = \"published\"\n{AXES}[compare]\nsplit = \"validation\"\n"
    );
    let error = planned(&split).unwrap_err().to_string();
    assert!(error.contains("has no validation classes"), "{error}");
}

#[test]
fn too_many_runs_are_refused_before_they_are_planned() {
    let seeds: Vec<String> = (0..2000).map(|seed| seed.to_string()).collect();
    let text = format!(
        "[axes]\n\"training.seed\" = [{0}]\n\"data.split_seed\" = [{0}]\n",
        seeds.join(", ")
    );
    let error = planned(&text).unwrap_err().to_string();
    assert!(error.contains("4000000 runs are too many"), "{error}");
}

#[test]
fn shipped_sweeps_are_valid() {
    let entries = std::fs::read_dir("configs/sweeps").expect("tests run in the package's root");
    let mut count = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        let file = SweepFile::read(&path).unwrap_or_else(|error| panic!("{error}"));
        Sweep::new(file, None).unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert!(count > 0);
}

/// The sweeps of the published tables train the recipes of their sets, each with three seeds.
#[test]
fn sweeps_of_the_published_sets_train_their_recipes() {
    let name_of = |config: &Config| {
        let loss = match config.loss.kind.name() {
            "hphn-triplet" => "hphn",
            "lifted-structure" => "lifted",
            "multi-similarity" => "ms",
            other => other,
        };
        let negatives = match config.negatives.name() {
            "embedding-expansion" => "ee",
            other => other,
        };
        format!("{loss}-{negatives}")
    };
    for set in ["cars196", "cub200", "sop"] {
        let file = SweepFile::read(Path::new(&format!("configs/sweeps/{set}.toml"))).unwrap();
        let sweep = Sweep::new(file, None).unwrap();
        let mut names = BTreeSet::new();
        for run in sweep.runs() {
            let name = name_of(&run.config);
            let path = format!("configs/{set}/{name}.toml");
            let mut recipe = Config::load(Path::new(&path), &[]).unwrap();
            recipe.training.seed = run.config.training.seed;
            assert_eq!(run.config.to_toml(), recipe.to_toml(), "{path}");
            names.insert((name, recipe.training.seed));
        }
        assert_eq!(names.len(), 5 * 3 * 3, "{set}");
    }
}
