//! The UI's API as a signed-in person uses it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::central::Central;

/// A session.
#[derive(Debug)]
pub struct Api {
    url: String,
    cookies: PathBuf,
}

impl Api {
    /// Signs in as the operator; `dir` keeps the cookie.
    pub fn sign_in(central: &Central, dir: &Path) -> anyhow::Result<Self> {
        let api = Self {
            url: format!("http://127.0.0.1:{}/api/v1", central.http_port),
            cookies: dir.join(format!("cookies-{}", central.http_port)),
        };
        let login = json!({ "email": Central::EMAIL, "password": Central::PASSWORD });
        api.post("/session", &login)?;
        Ok(api)
    }

    /// Asks, and expects to be answered.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let output = Command::new("curl")
            .args(["-sS", "--fail-with-body", "--max-time", "20"])
            .args(["-H", "content-type: application/json"])
            .arg("--cookie")
            .arg(&self.cookies)
            .arg("--cookie-jar")
            .arg(&self.cookies)
            .arg("--data")
            .arg(body.to_string())
            .arg(format!("{}{path}", self.url))
            .output()?;
        let words = String::from_utf8_lossy(&output.stdout);
        anyhow::ensure!(output.status.success(), "{path} said {words}");
        Ok(serde_json::from_str(&words)?)
    }
}
