//! Parts of an experiment under real schedulers: Slurm with two nodes on this machine, GNU parallel.

use super::{PATIENCE, Sweep, assert_same, shards};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Enough work that a part is met under way.
const LONG: &str = r#"
kind = "convergence"
threads = 1
sampling = { V = [200, 2000], V_batch = [4], seeds = { from = 0, count = 3 } }
estimator = [
  { kind = "hutchinson", blocks = "full", product = "autodiff" },
  { kind = "hutchinson", blocks = "parameter", product = "hmp" },
  { kind = "exact" },
  { kind = "propagation" },
]
"#;

/// A node is killed with all that runs there, a part on the other is requeued: the merged results are those of one
/// machine.
#[test]
fn slurm_runs_the_parts_whatever_becomes_of_its_nodes() {
    let sweep = shards::in_batches(LONG);
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/slurm/submit.sh");
    let mut submit = cluster.client(script.to_str().unwrap());
    submit.env("RUNNER", assert_cmd::cargo::cargo_bin("runner"));
    submit.current_dir(sweep.0.path());
    submit.args(["4", "results/sweep", "spec.toml"]);
    let said = said(submit);
    assert!(said.contains("runner status results/sweep"), "{said}");

    let killed = cluster.wait_for_part(&sweep, "n2");
    cluster.kill_node(1, &killed);
    let requeued = cluster.wait_for_part(&sweep, "n1");
    cluster.ask("scontrol", &["requeue", &requeued]);
    cluster.start_node(1);

    cluster.wait("the merge", || {
        let manifest = std::fs::read_to_string(sweep.results().join("manifest.toml"));
        manifest.is_ok_and(|text| !text.contains("status = \"running\""))
    });
    let manifest = std::fs::read_to_string(sweep.results().join("manifest.toml")).unwrap();
    assert!(manifest.contains("status = \"complete\""), "{manifest}");
    assert_eq!(manifest.matches("[[manifest.parts]]").count(), 4);
    let whole = shards::in_batches(LONG);
    assert_eq!(whole.run(&["-q"]).0, 0);
    assert_same(&sweep.results(), &whole.results());
}

/// The line in `docs/cluster.md`.
#[test]
fn gnu_parallel_runs_the_parts() {
    if !is_there("parallel") {
        return;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cluster.md");
    let page = std::fs::read_to_string(page).unwrap();
    let line = page.lines().find(|line| line.starts_with("parallel "));
    let line = line.unwrap().replace("mine.toml", "spec.toml");
    let line = line.replace("results/mine", "results/sweep");
    let sweep = shards::in_batches(shards::FEW);
    let bin = assert_cmd::cargo::cargo_bin("runner");
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(sweep.0.path());
    shell.env(
        "PATH",
        format!("{}:{path}", bin.parent().unwrap().display()),
    );
    said(shell);
    let whole = shards::in_batches(shards::FEW);
    assert_eq!(whole.run(&["-q"]).0, 0);
    assert_same(&sweep.results(), &whole.results());
}

/// Where a program is; nothing, with a line that says so, where it is not there.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders
        .into_iter()
        .any(|folder| folder.join(program).is_file());
    if !found {
        println!("skipped: there is no {program} here (scripts/slurm/install.sh)");
    }
    found
}

/// What a command prints.
fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out
}

/// Slurm's daemons, over the loopback interface, with their files in a folder of their own.
struct Cluster {
    folder: tempfile::TempDir,
    munge: Child,
    controller: Child,
    nodes: Vec<Child>,
}

const NODES: [&str; 2] = ["n1", "n2"];

impl Cluster {
    /// `None`, with a line that says why, where that cannot be.
    fn start() -> Option<Self> {
        if !["munged", "slurmctld", "slurmd", "sbatch"]
            .into_iter()
            .all(is_there)
        {
            return None;
        }
        // SAFETY: it only reads a number.
        if unsafe { libc::geteuid() } != 0 {
            println!("skipped: Slurm's daemons want to be root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("slurm.conf"),
            configuration(folder.path()),
        )
        .unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        std::fs::write(folder.path().join("key"), [7; 1024]).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.path().join("key"), private).unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let munge = [
            "key-file=key",
            "socket=socket",
            "pid-file=pid",
            "log-file=log",
            "seed-file=seed",
        ];
        let munge = munge.map(|option| {
            let (option, file) = option.split_once('=').unwrap();
            format!("--{option}={}", at(file))
        });
        let mut arguments: Vec<&str> = munge.iter().map(String::as_str).collect();
        arguments.extend(["--foreground", "--force"]);
        let munge = daemon(folder.path(), "munged", &arguments);
        let clock = Instant::now();
        while !folder.path().join("socket").exists() && clock.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let controller = daemon(folder.path(), "slurmctld", &["-i", "-D"]);
        let mut cluster = Self {
            folder,
            munge,
            controller,
            nodes: Vec::new(),
        };
        cluster.wait("the controller", || {
            cluster.client("sinfo").output().unwrap().status.success()
        });
        for index in 0..NODES.len() {
            cluster.start_node(index);
        }
        cluster.wait("the nodes", || {
            cluster.ask("sinfo", &["-h", "-N", "-o", "%T"]) == "idle\nidle\n"
        });
        Some(cluster)
    }

    /// Starts a node, in place of one that was killed.
    fn start_node(&mut self, index: usize) {
        let node = daemon(self.folder.path(), "slurmd", &["-D", "-N", NODES[index]]);
        match self.nodes.get_mut(index) {
            Some(old) => *old = node,
            None => self.nodes.push(node),
        }
    }

    /// Kills a node with all that runs there, as a power cut would, and lets the controller know, as a
    /// site's monitoring would: by itself it waits for minutes.
    fn kill_node(&mut self, index: usize, job: &str) {
        self.nodes[index].kill().unwrap();
        self.nodes[index].wait().unwrap();
        self.kill(|process| process.belongs_to(job));
        let node = format!("nodename={}", NODES[index]);
        self.ask(
            "scontrol",
            &["update", &node, "state=down", "reason=killed"],
        );
    }

    /// The job of a part that is under way on `node` and has finished something.
    fn wait_for_part(&self, sweep: &Sweep, node: &str) -> String {
        let mut found = None;
        self.wait("a part under way", || {
            let running = self.ask("squeue", &["-h", "-t", "R", "-w", node, "-o", "%A %K"]);
            let Some((job, part)) = running.trim().split_once(' ') else {
                return false;
            };
            let journal = sweep
                .results()
                .join(format!("parts/{part}-of-4/journal.jsonl"));
            let under_way = std::fs::metadata(journal).is_ok_and(|file| file.len() > 0);
            found = under_way.then(|| job.to_string());
            under_way
        });
        found.unwrap()
    }

    /// A command of Slurm's.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.folder.path().join("slurm.conf"));
        command
    }

    /// What a command of Slurm's prints.
    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = self.client(program);
        command.args(arguments);
        said(command)
    }

    fn wait(&self, what: &str, mut has_come: impl FnMut() -> bool) {
        let clock = Instant::now();
        while !has_come() {
            if clock.elapsed() > PATIENCE {
                let log = |name| std::fs::read_to_string(self.folder.path().join(name));
                let log = log("slurmctld.out").unwrap_or_default();
                panic!("{what} has not come in {PATIENCE:?}:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills those processes of this cluster that are `meant`.
    fn kill(&self, meant: impl Fn(&Process) -> bool) {
        let conf = format!(
            "SLURM_CONF={}",
            self.folder.path().join("slurm.conf").display()
        );
        let own = |process: &Process| process.variables.contains(&conf);
        for process in processes().iter().filter(|p| own(p) && meant(p)) {
            // SAFETY: it sends a signal to a process that this test has started.
            unsafe { libc::kill(process.id, libc::SIGKILL) };
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self
            .nodes
            .iter_mut()
            .chain([&mut self.controller, &mut self.munge])
        {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.kill(|process| process.id != std::process::id() as i32);
    }
}

/// A process of this machine.
struct Process {
    id: i32,
    /// Its name as it gives it itself.
    title: String,
    variables: Vec<String>,
}

impl Process {
    /// Whether it is of a job: Slurm's supervisor of a step, or what that has started.
    fn belongs_to(&self, job: &str) -> bool {
        let supervises = self.title.starts_with(&format!("slurmstepd: [{job}."));
        supervises
            || self
                .variables
                .iter()
                .any(|variable| *variable == format!("SLURM_JOB_ID={job}"))
    }
}

fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let process = |entry: std::fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let read = |name: &str| {
            Some(
                String::from_utf8_lossy(&std::fs::read(entry.path().join(name)).ok()?).into_owned(),
            )
        };
        Some(Process {
            id,
            title: read("cmdline")?,
            variables: read("environ")?.split('\0').map(str::to_string).collect(),
        })
    };
    entries.filter_map(process).collect()
}

/// Starts a daemon in the foreground, its output going to a file.
fn daemon(folder: &Path, program: &str, arguments: &[&str]) -> Child {
    let file = || {
        std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join(format!("{program}.out")))
            .unwrap()
    };
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("env")
        .arg(format!("PATH={path}:/usr/sbin:/sbin"))
        .arg(program)
        .args(arguments)
        .env("SLURM_CONF", folder.join("slurm.conf"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(file())
        .stderr(file())
        .spawn()
        .unwrap()
}

fn configuration(folder: &Path) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim();
    // Kept until all are known, so that they differ.
    let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [controller, n1, n2] = free.map(|listener| listener.local_addr().unwrap().port());
    let folder = folder.display();
    format!(
        "ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2} CPUs=1
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=10 State=UP
"
    )
}
