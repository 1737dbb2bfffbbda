//! What the files in the folder `models` must be.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use ring::digest::{Context, SHA256};
use serde::Deserialize;

use super::resize::SIDE;
use super::{ModelError, Part};
use crate::domain::evidence::Label;

/// `manifest.toml`, as far as the server needs it; `models/prepare` reads the rest.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    pub(super) model: ModelFile,
    runtime: RuntimeFile,
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelFile {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) sha256: String,
    input: Vec<usize>,
    labels: Vec<String>,
    #[serde(default)]
    pub(super) thresholds: BTreeMap<Label, f32>,
}

#[derive(Debug, Deserialize)]
struct RuntimeFile {
    file: String,
    /// By processor, as Rust names it.
    builds: BTreeMap<String, Build>,
}

#[derive(Debug, Deserialize)]
struct Build {
    sha256: String,
}

impl Manifest {
    /// Reads `manifest.toml` of this folder.
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        // The runtime's loader would look for a relative path beside the program.
        let folder = std::path::absolute(folder).map_err(|error| unreadable(Part::Manifest, folder, &error))?;
        let path = folder.join("manifest.toml");
        let text = fs::read_to_string(&path).map_err(|error| unreadable(Part::Manifest, &path, &error))?;
        let unusable = |why: String| ModelError::Manifest { path: path.clone(), why };
        let mut manifest: Self = toml::from_str(&text).map_err(|error| unusable(error.message().to_owned()))?;
        manifest.check().map_err(unusable)?;
        manifest.folder = folder;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        let model = &self.model;
        if model.input != [1, 3, SIDE, SIDE] {
            return Err(format!(
                "this version asks models with the input [1, 3, {SIDE}, {SIDE}], not {:?}",
                model.input
            ));
        }
        if !model.labels.iter().map(String::as_str).eq(Label::ALL.iter().map(|label| label.as_str())) {
            return Err(format!("the labels {:?} are not known, or not in this order", model.labels));
        }
        for file in [&model.file, &self.runtime.file] {
            if Path::new(file).file_name() != Some(file.as_ref()) {
                return Err(format!("{file:?} is no file's name"));
            }
        }
        match model.thresholds.iter().find(|(_, threshold)| !(0.0..=1.0).contains(*threshold)) {
            Some((label, threshold)) => {
                Err(format!("the threshold {threshold} of {} is not between 0 and 1", label.as_str()))
            }
            None => Ok(()),
        }
    }

    /// The model, which is what the manifest says.
    pub(super) fn read_model(&self) -> Result<Vec<u8>, ModelError> {
        let path = self.folder.join(&self.model.file);
        let mut bytes = Vec::new();
        let read = open(Part::Model, &path)?.read_to_end(&mut bytes);
        read.map_err(|error| unreadable(Part::Model, &path, &error))?;
        let mut hash = Context::new(&SHA256);
        hash.update(&bytes);
        expect_sum(Part::Model, path, hash, &self.model.sha256)?;
        Ok(bytes)
    }

    /// Where the runtime's library is, which is what the manifest says, and its SHA-256.
    pub(super) fn check_runtime(&self) -> Result<(PathBuf, &str), ModelError> {
        let machine = env::consts::ARCH;
        let build = self.runtime.builds.get(machine).ok_or(ModelError::NoRuntime { machine })?;
        let path = self.folder.join(&self.runtime.file);
        let mut file = open(Part::Runtime, &path)?;
        let mut hash = Context::new(&SHA256);
        let mut piece = vec![0; 1 << 16];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => hash.update(&piece[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(Part::Runtime, &path, &error)),
            }
        }
        expect_sum(Part::Runtime, path.clone(), hash, &build.sha256)?;
        Ok((path, &build.sha256))
    }
}

fn open(what: Part, path: &Path) -> Result<fs::File, ModelError> {
    fs::File::open(path).map_err(|error| unreadable(what, path, &error))
}

fn expect_sum(what: Part, path: PathBuf, hash: Context, wanted: &str) -> Result<(), ModelError> {
    let sha256: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    if sha256 == wanted { Ok(()) } else { Err(ModelError::Mismatch { what, path, sha256 }) }
}

fn unreadable(what: Part, path: &Path, error: &io::Error) -> ModelError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => ModelError::Missing { what, path },
        _ => ModelError::Unreadable { what, path, error: error.to_string() },
    }
}
