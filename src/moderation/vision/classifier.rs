//! The model in the ONNX runtime. The runtime is a shared library that is loaded when the server starts, not when it is linked:
//! without it everything else works.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use super::decode::Picture;
use super::manifest::Manifest;
use super::resize::{INPUT, SIDE, Squash};
use super::{Coding, LookError, ModelError, Seen, probabilities};
use crate::domain::evidence::{Label, Model, Scores};

/// The runtime of this process, once it was loaded: a library is loaded once, and the runtime allows one environment.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

struct Loaded {
    sha256: String,
    environment: Environment,
}

/// The checked model and the loaded runtime. Clones are cheap and share them.
#[derive(Clone, Debug)]
pub struct Classifier(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    model: Model,
    thresholds: BTreeMap<Label, f32>,
    onnx: Vec<u8>,
    environment: Environment,
}

impl Classifier {
    /// Reads the folder that `models/prepare` filled. It reads some 40 MB and loads a library: not for an async task.
    ///
    /// # Errors
    /// When a file is missing, is not what the manifest says, or the runtime does not take it.
    pub fn open(models_dir: &Path) -> Result<Self, ModelError> {
        let manifest = Manifest::read(models_dir)?;
        let onnx = manifest.read_model()?;
        let environment = load_runtime(&manifest)?;
        let thresholds = manifest.model.thresholds;
        let model = Model { name: manifest.model.name, sha256: manifest.model.sha256 };
        let classifier = Self(Arc::new(Shared { model, thresholds, onnx, environment }));
        // A model that the runtime does not take is found now, not in a worker.
        classifier.eye()?;
        Ok(classifier)
    }

    /// Which model this is.
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// From which probability on each label is a hit, unless a policy says otherwise: the manifest's. A label that is not in it
    /// never is.
    pub fn thresholds(&self) -> &BTreeMap<Label, f32> {
        &self.0.thresholds
    }

    /// An eye for one worker thread. It works on the thread that calls it and starts none.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn eye(&self) -> Result<Eye, ModelError> {
        let session = Session::builder(&self.0.environment)
            .and_then(|builder| Ok(builder.with_intra_threads(1)?.with_inter_threads(1)?))
            .and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::All)?))
            .and_then(|mut builder| builder.commit_from_memory(&self.0.onnx))
            .map_err(|error| ModelError::Runtime(error.to_string()))?;
        Ok(Eye { session, picture: Picture::default(), squash: Squash::new(), input: vec![0.0; INPUT] })
    }
}

/// Looks at one frame after the other, on the thread that calls it.
pub struct Eye {
    session: Session,
    picture: Picture,
    squash: Squash,
    input: Vec<f32>,
}

impl Eye {
    /// Decodes a key frame, squashes it to the model's size, and asks the model. It takes 5 to 10 ms for what calls usually send.
    ///
    /// # Errors
    /// [`LookError::Frame`] when the frame cannot be decoded, [`LookError::Model`] when the model fails.
    pub fn look(&mut self, coding: Coding, frame: &[u8]) -> Result<Seen, LookError> {
        self.picture.decode(coding, frame)?;
        self.squash.squash(&self.picture, &mut self.input);
        let scores = self.classify()?;
        Ok(Seen { width: self.picture.width as u32, height: self.picture.height as u32, scores })
    }

    /// Asks the model about the frame that was looked at last: what of [`Eye::look`] is not ours to make faster.
    ///
    /// # Errors
    /// When the model fails.
    pub fn classify(&mut self) -> Result<Scores, ModelError> {
        let failed = |error: ort::Error| ModelError::Runtime(error.to_string());
        let input = TensorRef::from_array_view(([1, 3, SIDE, SIDE], &*self.input)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![input]).map_err(failed)?;
        let (_, output) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        probabilities(output)
    }
}

fn load_runtime(manifest: &Manifest) -> Result<Environment, ModelError> {
    let (path, sha256) = manifest.check_runtime()?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = &*loaded {
        return if loaded.sha256 == sha256 {
            Ok(loaded.environment.clone())
        } else {
            Err(ModelError::Runtime("this process has loaded another one before".into()))
        };
    }
    let environment = ort::init_from(&path)
        .map_err(|error| ModelError::Runtime(error.to_string()))?
        .with_name("parlor")
        .with_telemetry(false)
        .build()
        .map_err(|error| ModelError::Runtime(error.to_string()))?;
    // Its warnings are about how a graph could be faster; errors come back as values.
    environment.set_log_level(LogLevel::Error);
    *loaded = Some(Loaded { sha256: sha256.to_owned(), environment: environment.clone() });
    Ok(environment)
}
