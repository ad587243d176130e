//! The experiment file of a dictionary: a table `[dictionary]` beside `name`, `seed` and `[run]`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use scn_data::{Color, DatasetKind, PatchShape, WhiteningKind};
use scn_keys::Table as _;
use scn_keys::toml;
use scn_ops::DeviceRequest;
use scn_solver::{ForwardOptions, Method as Solver};
use scn_train::{ExperimentError, ExperimentFile, Places, RunConfig, Schema, names_a_folder, reference_of};

use crate::methods::MethodKind;

/// The methods whose objective has a λ.
const WITH_LAMBDA: [&str; 5] = [
    MethodKind::Classical.name(),
    MethodKind::NonNegative.name(),
    MethodKind::Orthogonal.name(),
    MethodKind::OrthogonalPerAtom.name(),
    MethodKind::Ridge.name(),
];
/// The methods whose codes are iterated on.
const ITERATED: [&str; 2] = [MethodKind::Classical.name(), MethodKind::NonNegative.name()];
const EPSILON: f64 = 1e-5;

scn_keys::required_table! {
    /// What is learned from which patches.
    pub struct DictionaryConfig {
        /// The method.
        pub method: MethodKind = required(),
        /// A folder whose PNG and JPEG files, those of the folders in it included, are the images.
        pub images: Option<PathBuf> = unset("those of `dataset`").within(range("the path of a folder", |_| true)),
        /// The dataset whose training images are the images.
        pub dataset: Option<DatasetKind> = unset("the files of `images`"),
        /// The folder of the datasets, relative to the working directory.
        pub dir: PathBuf = default("datasets".into()).within(range("the path of a folder", |_| true)),
        /// The channels of patches.
        pub color: Color = default(Color::Grey),
        /// Side of a patch in pixels.
        pub patch: usize = default(12).within(whole(1, 64)),
        /// Atoms of the dictionary.
        pub atoms: usize = default(144).within(whole(1, 8192)),
        /// The weight of the penalty λ: of the 1-norm of the codes, or with `ridge` of half their squared 2-norm.
        pub lambda: Option<f64> = of_kinds(WITH_LAMBDA, Some(0.1)).within(positive()),
        /// Codes of a patch that are not 0.
        pub nonzeros: Option<usize> = of_kinds([MethodKind::OrthogonalL0.name()], Some(10)).within(at_least(1)),
        /// How patches are whitened.
        pub whitening: WhiteningKind = default(WhiteningKind::Zca),
        /// `zca` and `pca`: added to each variance before it is divided by, as a part of the mean variance.
        pub epsilon: f64 = default(EPSILON).within(positive()),
        /// `pca`: dimensions that are kept, those of the largest variance.
        pub components: Option<usize> = unset("all").within(at_least(1)),
        /// Epochs, each with patches of its own.
        pub epochs: usize = default(20).within(whole(1, 1_000_000)),
        /// Patches of an epoch.
        pub patches: usize = default(20_000).within(whole(1, 100_000_000)),
        /// Patches of a step.
        pub batch: usize = default(512).within(whole(1, 1_000_000)),
        /// Patches that the dictionary is judged by after each epoch, always the same.
        pub evaluation: usize = default(2_000).within(whole(1, 1_000_000)),
        /// Codes are iterated on until the relative residual of their optimality conditions is at most this.
        pub tolerance: Option<f64> = of_kinds(ITERATED, Some(1e-4)).within(positive()),
        /// Sweeps of coordinate descent at most.
        pub max_iterations: Option<usize> = of_kinds(ITERATED, Some(200)).within(whole(1, 1_000_000)),
    }
}

scn_keys::required_table! {
    /// What an experiment file of a dictionary says.
    pub struct DictionaryExperiment {
        /// Names the folder of the run.
        pub name: String = derived(String::new(), "the name of the file")
            .within(range("a name without slashes, fit for a folder", |name: &String| names_a_folder(name))),
        /// Seed of the patches that are drawn.
        pub seed: u64 = default(0).within(whole(0, i64::MAX as u64)),
        /// The dictionary.
        pub dictionary: DictionaryConfig = required(),
        /// The machine and the files; changes no result.
        pub run: RunConfig = table(),
    }
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::of::<DictionaryExperiment>);

/// The reference page of the keys, as Markdown.
pub fn reference() -> String {
    reference_of(&SCHEMA)
}

/// Whether the file in `path` has a table `dictionary`. What cannot be read or is not TOML has none.
pub fn is_dictionary_experiment(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.parse::<toml::Table>()
        .is_ok_and(|table| table.contains_key("dictionary"))
}

impl DictionaryConfig {
    /// The shape of a patch.
    pub fn shape(&self) -> PatchShape {
        PatchShape {
            side: self.patch,
            color: self.color,
        }
    }

    /// Values of a whitened patch.
    pub fn dimension(&self) -> usize {
        self.components.unwrap_or_else(|| self.shape().values())
    }

    /// Steps of an epoch.
    pub fn batches(&self) -> usize {
        self.patches.div_ceil(self.batch)
    }

    pub(crate) fn solver(&self) -> ForwardOptions {
        let default = ForwardOptions {
            method: Solver::CoordinateDescent,
            tolerance: 0.0,
            max_iterations: 0,
        };
        ForwardOptions {
            tolerance: self.tolerance.unwrap_or(default.tolerance),
            max_iterations: self.max_iterations.unwrap_or(default.max_iterations),
            ..default
        }
    }

    fn check(&self, places: &Places) -> Result<(), ExperimentError> {
        let kind = self.method.name();
        places.refuse_foreign("dictionary", "dictionary.method", kind, self.foreign(kind))?;
        self.check_images(places)?;
        let (values, shape) = (self.shape().values(), self.shape());
        if let Some(components) = self.components {
            let with = format!(
                "patches of {}×{} pixels and {} channels have {values} values",
                shape.side,
                shape.side,
                shape.color.channels()
            );
            places.fits("dictionary.components", components, components <= values, &with, || {
                format!("at most {values}")
            })?;
        }
        let (atoms, dimension) = (self.atoms, self.dimension());
        if self.method.is_orthogonal() {
            let with = format!(
                "dictionary.method is \"{kind}\", and no more than {dimension} vectors of {dimension} dimensions are \
                 orthogonal to each other"
            );
            places.fits("dictionary.atoms", atoms, atoms <= dimension, &with, || {
                format!("at most {dimension}, or larger patches")
            })?;
        }
        if let Some(nonzeros) = self.nonzeros {
            let with = format!("dictionary.atoms is {atoms}");
            places.fits("dictionary.nonzeros", nonzeros, nonzeros <= atoms, &with, || {
                format!("at most {atoms}")
            })?;
        }
        let white = match self.whitening {
            WhiteningKind::Zca | WhiteningKind::Pca => true,
            WhiteningKind::None | WhiteningKind::Olshausen => false,
        };
        let found = self.whitening.name();
        let with = "dictionary.method is \"fast-ica\", which takes the covariance of patches for the identity";
        let possible = white || self.method != MethodKind::FastIca;
        places.fits("dictionary.whitening", format!("{found:?}"), possible, with, || {
            "\"zca\" or \"pca\"".into()
        })?;
        let (batch, patches) = (self.batch, self.patches);
        let with = format!("dictionary.patches is {patches}");
        places.fits("dictionary.batch", batch, batch <= patches, &with, || {
            format!("at most {patches}")
        })
    }

    fn check_images(&self, places: &Places) -> Result<(), ExperimentError> {
        const ONE: &str = "one of dictionary.images, a folder, and dictionary.dataset";
        let dataset = match (&self.images, self.dataset) {
            (Some(_), None) => return Ok(()),
            (None, Some(dataset)) => dataset,
            (None, None) => {
                let with = "there is no dictionary.images either";
                return Err(places.conflict("dictionary.dataset", "nothing".into(), with, ONE.into()));
            }
            (Some(images), Some(dataset)) => {
                let with = format!("dictionary.dataset is \"{dataset}\"");
                let found = format!("{:?}", images.display().to_string());
                return Err(places.conflict("dictionary.images", found, &with, ONE.into()));
            }
        };
        let [channels, height, width] = dataset.info().shape;
        let side = height.min(width);
        let with = format!("the images of {dataset} are {height}×{width}");
        places.fits("dictionary.patch", self.patch, self.patch <= side, &with, || {
            format!("at most {side}")
        })?;
        let color = self.color.name();
        let with = format!("the images of {dataset} are grey");
        let possible = self.color.channels() <= channels;
        places.fits("dictionary.color", format!("{color:?}"), possible, &with, || {
            "\"grey\"".into()
        })
    }

    /// Refuses what no run can have written, before anything is allocated for it.
    pub(crate) fn check_claims(&self) -> Result<(), String> {
        match self.out_of_range().into_iter().next() {
            Some(wrong) => Err(format!(
                "dictionary.{}: found {}; expected {}",
                wrong.path, wrong.found, wrong.expected
            )),
            None => self.check(&Places::default()).map_err(|error| error.to_string()),
        }
    }

    /// Refuses values that change nothing.
    fn check_effects(&self, places: &Places) -> Result<(), ExperimentError> {
        let kind = self.whitening;
        let with = format!("dictionary.whitening is \"{}\"", kind.name());
        if let Some(components) = self.components {
            places.fits(
                "dictionary.components",
                components,
                kind == WhiteningKind::Pca,
                &with,
                || "it with dictionary.whitening = \"pca\" only".into(),
            )?;
        }
        let divides = [WhiteningKind::Zca, WhiteningKind::Pca].contains(&kind);
        let epsilon = self.epsilon;
        places.fits(
            "dictionary.epsilon",
            epsilon,
            divides || epsilon == EPSILON,
            &with,
            || "it with dictionary.whitening = \"zca\" or \"pca\" only".into(),
        )
    }
}

impl ExperimentFile for DictionaryExperiment {
    fn schema() -> &'static Schema {
        &SCHEMA
    }

    fn name_mut(&mut self) -> &mut String {
        &mut self.name
    }

    fn with_defaults(mut self) -> Self {
        let kind = self.dictionary.method.name();
        self.dictionary.fill(kind);
        self
    }

    fn without_unused(self) -> Self {
        self
    }

    fn is_of_the_machine(key: &str) -> bool {
        ["name", "dictionary.images", "dictionary.dir"].contains(&key) || key.starts_with("run.")
    }

    fn check(&self, places: &Places) -> Result<(), ExperimentError> {
        places.refuse_out_of_range(self)?;
        let device = self.run.device;
        let possible = [DeviceRequest::Auto, DeviceRequest::Cpu].contains(&device);
        let found = format!("{:?}", device.name());
        places.fits(
            "run.device",
            found,
            possible,
            "dictionaries are learned by the CPU kernels",
            || "\"auto\" or \"cpu\"".into(),
        )?;
        self.dictionary.check(places)
    }

    fn check_effects(&self, places: &Places) -> Result<(), ExperimentError> {
        self.dictionary.check_effects(places)
    }
}
