//! Writes the TypeScript types of the wire and holds the file to them.

use std::{collections::BTreeMap, fs, path::Path};

use ts_rs::{Config, TS, TypeVisitor};

use super::{ClientBody, CloseAction, CloseCode, ErrorCode, ServerFrame};

/// The declarations of a type and of all that it is made of, by name. (The macros' own order changes between builds.)
struct Declarations {
    config: Config,
    text: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Only types of ours have a file of their own; the rest are built in (string, number, arrays).
        if T::output_path().is_none() {
            return;
        }
        let name = T::ident(&self.config);
        if self.text.contains_key(&name) {
            return;
        }
        // ts-rs leaves blanks at the ends of lines.
        let lines = format!("{}export {}", T::docs().unwrap_or_default(), T::decl(&self.config));
        let lines: Vec<_> = lines.lines().map(str::trim_end).collect();
        self.text.insert(name, lines.join("\n"));
        T::visit_dependencies(self);
    }
}

fn module() -> String {
    let mut all = Declarations { config: Config::new().with_large_int("number"), text: BTreeMap::new() };
    all.visit::<ClientBody>();
    all.visit::<ErrorCode>();
    all.visit::<ServerFrame>();
    let codes: Vec<_> = CloseCode::ALL.iter().map(|code| format!("  {code:?}: {},", code.number())).collect();
    let action = |code: &CloseCode| format!("  {}: \"{}\",", code.number(), code.action().name());
    let actions: Vec<_> = CloseCode::ALL.iter().map(action).collect();
    let names = [CloseAction::Retry, CloseAction::Refresh, CloseAction::Wait, CloseAction::Stop];
    let names = names.map(|action| format!("\"{}\"", action.name())).join(" | ");
    format!(
        "// Generated from src/proto.rs. Do not edit: `UPDATE_PROTO=1 cargo test --lib proto` writes it.\n\n{}\n\n\
         /**\n * A frame from a client.\n */\n\
         export type ClientFrame = {{ id?: string }} & ClientBody;\n\n\
         /**\n * Why the server closed the socket.\n */\n\
         export const CloseCode = {{\n{}\n}} as const;\n\n\
         /**\n * The number of a close code.\n */\n\
         export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];\n\n\
         /**\n * What the client does about a closed socket.\n */\n\
         export type CloseAction = {names};\n\n\
         /**\n * What it does about each close code.\n */\n\
         export const CLOSE_ACTIONS: Readonly<Record<CloseCode, CloseAction>> = {{\n{}\n}};\n",
        all.text.into_values().collect::<Vec<_>>().join("\n\n"),
        codes.join("\n"),
        actions.join("\n"),
    )
}

#[test]
fn the_typescript_types_are_those_of_the_wire() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/sdk/src/proto.ts");
    let wanted = module();
    if std::env::var_os("UPDATE_PROTO").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "web/sdk/src/proto.ts differs from src/proto.rs: run `UPDATE_PROTO=1 cargo test --lib proto`"
    );
}

#[test]
fn the_page_names_every_close_code_and_its_action() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md")).unwrap();
    let (_, table) = page.split_once("### Close codes").expect("the page has a section of close codes");
    let (table, _) = table.split_once("\n#").expect("other sections follow");
    let cells = |line: &str| line.split('|').skip(1).take(3).map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let told: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(1).map(cells).collect();
    let wanted = CloseCode::ALL
        .map(|code| vec![code.number().to_string(), code.action().name().to_owned(), code.reason().to_owned()]);
    assert_eq!(told, wanted);
}
