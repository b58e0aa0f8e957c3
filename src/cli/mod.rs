//! The program: from a command line to an exit code. Ring 4; may use every ring.

pub mod address;
pub mod app;
pub mod args;
pub mod arm;
pub mod auth;
pub mod backup;
pub mod call;
pub mod choice;
pub mod curl;
pub mod dangling;
pub mod doctor;
pub mod elsewhere;
pub mod ending;
pub mod export;
pub mod handing;
pub mod init;
pub mod keeper;
pub mod keeping;
pub mod link;
pub mod log;
pub mod logout;
pub mod marks;
pub mod migrate;
pub mod models_status;
pub mod monitor;
pub mod moved;
pub mod narrow;
pub mod onboard;
#[cfg(unix)]
pub mod once;
#[cfg(windows)]
#[path = "no_once.rs"]
pub mod once;
pub mod opened;
pub mod order;
pub mod papers;
pub mod pick;
pub mod pins;
pub mod planting;
pub mod plugin;
pub mod preview;
pub mod proof;
pub mod record;
pub mod recovery;
pub mod reload;
pub mod resolve;
pub mod restore;
pub mod run;
pub mod scan;
pub mod secret;
#[cfg(unix)]
pub mod service;
#[cfg(not(unix))]
#[path = "service/nowhere.rs"]
pub mod service;
pub mod setup_token;
pub mod slot;
pub mod slot_list;
pub mod start;
pub mod status;
pub mod stores;
pub mod survey;
pub mod table;
pub mod target;
pub mod ui;
pub mod unasked;
pub mod undo;
pub mod unlink;
pub mod uptake;
pub mod usage;
pub mod variable_name;
pub mod variables;

use crate::error::Result;
use crate::host::{self, Host};
use app::App;
use args::{
    AuthCommand, Cli, Command, KeeperCommand, Models, SecretCommand, ServiceCommand, SlotCommand,
};
use std::ffi::OsString;
use std::path::Path;
use ui::Ui;

/// Runs the program with these arguments; the first is its own name. Gives the exit code.
pub fn run(host: Host, args: Vec<OsString>) -> u8 {
    host::harden();
    if let Some(state_machine) = plugin_call(&args) {
        host::forbid_core_dumps();
        return finish(Ui::default(), plugin::run(&state_machine));
    }
    // Before it is known which command it is: `--json` asks for a document on every error.
    // What stands behind `--` belongs to another program.
    let mut own = args.iter().take_while(|arg| *arg != "--");
    let ui = Ui::new(own.any(|arg| arg == "--json"));
    let parsed = match call::parse(&args) {
        Some(cli) => Ok(Ok(cli)),
        None => usage::parse(args.into_iter()),
    };
    let cli = match parsed {
        Ok(Ok(cli)) => cli,
        Ok(Err(text)) => return finish(ui, ui.raw(text.as_bytes())),
        Err(error) => return finish(ui, Err(error)),
    };
    if !matches!(cli.command, Command::Run(_)) {
        // A command that is started would inherit it and could not take it back.
        host::forbid_core_dumps();
    }
    let json = wants_json(&cli.command);
    let ui = Ui::new(json);
    // The hot path needs less than the others.
    if let Command::Resolve(args) = &cli.command {
        return finish(ui, resolve::run(&host, ui, &cli.global, args));
    }
    // These need neither a vault nor a home.
    match &cli.command {
        Command::Completions(args) => return finish(ui, papers::completions(ui, args)),
        Command::Man(args) => return finish(ui, papers::man(&host, ui, args)),
        _ => {}
    }
    match App::new(host, cli.global.clone(), json) {
        Ok(app) => finish(ui, dispatch(&app, &cli)),
        Err(error) => finish(ui, Err(error)),
    }
}

fn dispatch(app: &App, cli: &Cli) -> Result<()> {
    if works_on_the_vault(&cli.command) {
        moved::refuse(&app.dir)?;
    }
    match &cli.command {
        Command::Resolve(args) => resolve::run(&app.host, app.ui, &app.global, args),
        Command::Completions(args) => papers::completions(app.ui, args),
        Command::Man(args) => papers::man(&app.host, app.ui, args),
        Command::Keeper(command) => keeper::run(app, command),
        Command::Unlock(how) => keeper::unlock(app, how),
        Command::Lock => keeper::lock(app),
        Command::Run(args) => run::run(app, args),
        Command::Init(args) => init::run(app, args),
        Command::Models(Models::Auth(auth)) => auth::run(app, auth),
        Command::Models(Models::Pick(args)) => pick::run(app, args),
        Command::Models(Models::Status(args)) => models_status::run(app, args),
        Command::Secret(command) => secret::run(app, command),
        Command::Slot(command) => slot::run(app, command),
        Command::Service(command) => service::run(app, command),
        Command::Rekey(args) => slot::rekey(app, args),
        Command::Recovery(command) => recovery::run(app, command),
        Command::Onboard(args) => onboard::run(app, args),
        Command::Status(args) => status::run(app, args),
        Command::Doctor(args) => doctor::run(app, args),
        Command::Log(args) => log::run(app, args),
        Command::Monitor(args) => monitor::run(app, args),
        Command::Backup(args) => backup::run(app, args),
        Command::Restore(args) => restore::run(app, args),
        Command::Export(args) => export::run(app, args),
        Command::Scan(args) => scan::run(app, args),
        Command::Link(args) => link::run(app, args),
        Command::Unlink(args) => unlink::run(app, args),
        Command::Migrate(args) => migrate::run(app, args),
    }
}

/// Whether a command reads or changes a vault in its folder, be it only what is not secret there.
fn works_on_the_vault(command: &Command) -> bool {
    matches!(
        command,
        Command::Models(_)
            | Command::Secret(_)
            | Command::Slot(_)
            | Command::Rekey(_)
            | Command::Recovery(_)
            | Command::Onboard(_)
            | Command::Init(_)
            | Command::Link(_)
            | Command::Migrate(_)
            | Command::Run(_)
            | Command::Status(_)
            | Command::Log(_)
            | Command::Backup(_)
            | Command::Restore(_)
            | Command::Export(_)
            | Command::Scan(_)
    )
}

fn wants_json(command: &Command) -> bool {
    match command {
        Command::Models(Models::Auth(auth)) => match &auth.command {
            AuthCommand::List(list) => list.json,
            AuthCommand::Order(command) => command.order().json,
            _ => false,
        },
        Command::Models(Models::Pick(pick)) => pick.json,
        Command::Models(Models::Status(status)) => status.json,
        Command::Secret(SecretCommand::List(list)) => list.json,
        Command::Slot(SlotCommand::List(list)) => list.json,
        Command::Service(ServiceCommand::Status(status)) => status.json,
        Command::Keeper(KeeperCommand::Status(status)) => status.json,
        Command::Status(status) => status.json,
        Command::Doctor(doctor) => doctor.json,
        Command::Log(log) => log.json,
        Command::Migrate(migrate) => migrate.json,
        Command::Scan(scan) => scan.json,
        _ => false,
    }
}

/// age clients start us as `age-plugin-clawkeep --age-plugin=<state machine>`.
fn plugin_call(args: &[OsString]) -> Option<String> {
    let own = Path::new(args.first()?).file_stem()?.to_str()?;
    if own != plugin::NAME {
        return None;
    }
    let flag = args
        .get(1)
        .and_then(|arg| arg.to_str())
        .and_then(|arg| arg.strip_prefix("--age-plugin="));
    Some(flag.unwrap_or_default().to_owned())
}

fn finish(ui: Ui, result: Result<()>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            ui.error(&error);
            error.kind().exit_code()
        }
    }
}
