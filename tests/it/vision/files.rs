//! The folder `models`: what is missing in it or is not the manifest's is said, and nothing of it is used.

use std::fs;
use std::os::unix::fs::symlink;

use parlor::domain::evidence::Label;
use parlor::moderation::vision::{Classifier, Coding, LookError, ModelError, Part};
use tempfile::TempDir;

use super::models;
use super::pictures::{drawing, vp8_key_frames};

/// A model whose five probabilities are NaN, whatever it is shown: one ONNX node, `Constant`.
const NAN_MODEL: &str = "08083a760a391201702208436f6e7374616e742a2a0a0576616c75652a1e08010805100122140000c07f0000c07f0000c07f\
    0000c07f0000c07f4200a001041201675a210a05696e70757412180a16080112120a0208010a0208030a0308e0010a0308e0\
    0162130a0170120e0a0c080112080a0208010a02080542040a00100d";

/// A copy of the folder; the runtime is a link, which is as good as the file.
fn copied() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["manifest.toml", "mobilenet.onnx"] {
        fs::copy(models().join(file), folder.path().join(file)).unwrap();
    }
    symlink(models().join("libonnxruntime.so"), folder.path().join("libonnxruntime.so")).unwrap();
    folder
}

fn refused(folder: &TempDir) -> ModelError {
    Classifier::open(folder.path()).expect_err("it is refused")
}

/// Changes one text in the manifest.
fn edit(folder: &TempDir, from: &str, to: &str) {
    let path = folder.path().join("manifest.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "the manifest does not say {from}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// Puts another model there, and its sum into the manifest.
fn replace_model(folder: &TempDir, bytes: &[u8]) {
    let manifest: toml::Table = fs::read_to_string(folder.path().join("manifest.toml")).unwrap().parse().unwrap();
    let sum = ring::digest::digest(&ring::digest::SHA256, bytes);
    let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    edit(folder, manifest["model"]["sha256"].as_str().unwrap(), &sum);
    fs::write(folder.path().join("mobilenet.onnx"), bytes).unwrap();
}

#[test]
fn a_copy_of_the_folder_is_as_good() {
    let folder = copied();
    let classifier = Classifier::open(folder.path()).unwrap();
    assert_eq!(classifier.model(), Classifier::open(&models()).unwrap().model());
    assert_eq!(classifier.thresholds().keys().copied().collect::<Vec<_>>(), [Label::Hentai, Label::Porn]);
}

#[test]
fn what_is_missing_is_named() {
    for (file, part) in
        [("manifest.toml", Part::Manifest), ("mobilenet.onnx", Part::Model), ("libonnxruntime.so", Part::Runtime)]
    {
        let folder = copied();
        let path = folder.path().join(file);
        fs::remove_file(&path).unwrap();
        let error = refused(&folder);
        assert_eq!(error, ModelError::Missing { what: part, path: path.clone() });
        assert_eq!(error.to_string(), format!("{} is missing: run models/prepare", path.display()));
        assert!(!error.reason().contains('/'), "{}", error.reason());
    }
    let nowhere = models().join("nowhere");
    assert!(matches!(Classifier::open(&nowhere), Err(ModelError::Missing { what: Part::Manifest, .. })));
}

#[test]
fn a_file_that_is_not_the_manifests_is_refused() {
    for (file, part) in [("mobilenet.onnx", Part::Model), ("libonnxruntime.so", Part::Runtime)] {
        let folder = copied();
        let path = folder.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let error = refused(&folder);
        assert!(
            matches!(&error, ModelError::Mismatch { what, path: at, .. } if *what == part && *at == path),
            "{error}"
        );
    }
}

#[test]
fn a_manifest_that_describes_something_else_is_refused() {
    for (from, to, wanted) in [
        ("[model]", "[model", "manifest.toml cannot be used"),
        ("[1, 3, 224, 224]", "[1, 3, 299, 299]", "299"),
        ("\"Drawing\", \"Hentai\"", "\"Hentai\", \"Drawing\"", "labels"),
        ("Porn = 0.8", "Porn = 1.8", "threshold"),
        ("Porn = 0.8", "Pron = 0.8", "Pron"),
        ("\"mobilenet.onnx\"", "\"../mobilenet.onnx\"", "no file's name"),
    ] {
        let folder = copied();
        edit(&folder, from, to);
        let error = refused(&folder);
        assert!(matches!(error, ModelError::Manifest { .. }), "{to}: {error}");
        assert!(error.to_string().contains(wanted), "{to}: {error}");
    }
    let folder = copied();
    edit(&folder, &format!("[runtime.builds.{}]", std::env::consts::ARCH), "[runtime.builds.pdp11]");
    assert_eq!(refused(&folder), ModelError::NoRuntime { machine: std::env::consts::ARCH });
}

#[test]
fn a_model_that_is_none_is_an_error() {
    let onnx = fs::read(models().join("mobilenet.onnx")).unwrap();
    for bytes in [&[][..], b"garbage", &onnx[..onnx.len() / 2]] {
        let folder = copied();
        replace_model(&folder, bytes);
        let error = refused(&folder);
        assert!(matches!(error, ModelError::Runtime(_)), "{error}");
    }
}

#[test]
fn probabilities_that_are_nan_are_an_error() {
    let bytes: Vec<u8> =
        (0..NAN_MODEL.len()).step_by(2).map(|at| u8::from_str_radix(&NAN_MODEL[at..at + 2], 16).unwrap()).collect();
    let folder = copied();
    replace_model(&folder, &bytes);
    let mut eye = Classifier::open(folder.path()).unwrap().eye().unwrap();
    let error = eye.look(Coding::Vp8, &vp8_key_frames(64, 48, &[drawing])[0]).unwrap_err();
    assert!(matches!(&error, LookError::Model(ModelError::BadOutput(output)) if output.contains("NaN")), "{error}");
    assert_eq!(eye.classify().map_err(|error| error.reason()), Err("the model gives no probabilities"));
}
