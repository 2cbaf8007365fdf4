//! `petrel plugin keygen`, `sign` and `verify`: who vouches for a component.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use petrel_plugin_host::{Papers, PublicKey, SecretKey, Signature, inspect};

use super::{compiled, host};

/// Makes NAME.key, which is for whoever signs, and NAME.pub.
pub(crate) fn keygen(name: &Path) -> anyhow::Result<String> {
    let key = SecretKey::generate()?;
    let (secret, public) = (with_suffix(name, ".key"), with_suffix(name, ".pub"));
    write(&secret, 0o600, &key.expose())?;
    write(&public, 0o644, &format!("{}\n", key.public()))?;
    let (stem, key) = (name.file_name().unwrap_or_default(), key.public());
    let stem = stem.to_string_lossy();
    Ok(format!(
        "{secret} signs: keep it where nobody else can read it, and away from the hosts that run plugins\n\
         {public} goes to agents and aggregators:\n\n\
         plugins:\n  require_signature: true\n  keys:\n    - name: {stem}\n      public_key: {key}",
        secret = secret.display(),
        public = public.display(),
    ))
}

/// Writes FILE.sig.
pub(crate) fn sign(file: &Path, key: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(key).with_context(|| {
        let key = key.display();
        format!("cannot read {key}; make a key with: petrel plugin keygen NAME")
    })?;
    let key = SecretKey::parse(&text).with_context(|| key.display().to_string())?;
    let papers = papers(file)?;
    let beside = Signature::beside(file);
    fs::write(&beside, key.sign(&papers).to_string())
        .with_context(|| format!("cannot write {}", beside.display()))?;
    Ok(format!(
        "{}: {} vouches for {} {}",
        beside.display(),
        key.public(),
        papers.name(),
        papers.version()
    ))
}

/// Checks FILE.sig against one key: `ed25519:...`, or a file with it.
pub(crate) fn verify(file: &Path, key: &str) -> anyhow::Result<String> {
    let key = if key.starts_with("ed25519:") {
        PublicKey::parse(key)
    } else {
        let text = fs::read_to_string(key).with_context(|| {
            format!("cannot read {key}; write ed25519:..., or name a file that keygen has made")
        })?;
        PublicKey::parse(&text)
    };
    let key = key.map_err(anyhow::Error::msg)?;
    let beside = Signature::beside(file);
    let (shown, sig) = (file.display(), beside.display());
    let text = fs::read_to_string(&beside).with_context(|| {
        format!("cannot read {sig}; make it with: petrel plugin sign {shown} --key SECRET_KEY_FILE")
    })?;
    let Some(signature) = Signature::parse(&text) else {
        bail!(
            "{sig} is no signature; make it with: petrel plugin sign {shown} --key SECRET_KEY_FILE"
        );
    };
    if signature.key() != key {
        bail!("{sig} says to be by {}, not by {key}", signature.key());
    }
    if !signature.is_by(&key) {
        bail!("{sig} was changed, or was not made with {key}");
    }
    let papers = papers(file)?;
    signature
        .is_of(&papers)
        .map_err(|words| anyhow::anyhow!("{shown}: {words}"))?;
    Ok(format!(
        "{shown} is {} {}, for which {key} vouches",
        papers.name(),
        papers.version()
    ))
}

fn papers(file: &Path) -> anyhow::Result<Papers> {
    let nothing = serde_json::json!({});
    Ok(inspect(file, &nothing, &host::limits(), compiled::dir())?)
}

fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut name = name.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Never over something that is there: it may be the only copy of a key.
fn write(path: &Path, mode: u32, text: &str) -> anyhow::Result<()> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let mut file = opened.with_context(|| format!("cannot make {}", path.display()))?;
    Ok(file.write_all(text.as_bytes())?)
}
