/**
 * Which execution provider runs the models on this machine. `auto` takes a GPU only where it is a real one: a software
 * Vulkan driver (llvmpipe, SwiftShader) passes for one and is far slower than the processor. A machine without a GPU is
 * told by its files, in no time and without loading a driver; what looks like one has to compute the right scores in a
 * process of its own first (providerProbe.ts). Knows the engine through session.ts alone.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from './engineEnvironment.ts';
import { type ExecutionProvider, hasFilesOf } from './session.ts';

export type ProviderSetting = 'auto' | ExecutionProvider;

export interface ProviderChoice {
  readonly provider: ExecutionProvider;
  /** False where another one was asked for by name. */
  readonly asAsked: boolean;
  /** Of each provider that was looked at and cannot be had: why, in a sentence. */
  readonly missing: readonly string[];
  /** What the process must have in its environment, before it opens a model, to find that device and no other. */
  readonly environment: Readonly<Record<string, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A first use compiles its programs, which a slow driver may take long for. */
const PROBE_MS = 60_000;
/** So much of what a failing probe says is told. */
const REASON_LENGTH = 400;
/** Vulkan drivers that compute on the processor, and Microsoft's, which may. */
const SOFTWARE_DRIVER = /lvp|llvmpipe|swiftshader|dzn/i;

/**
 * The provider to run with, never rejecting: what cannot be had falls back to the processor, and says why.
 * @param environment the process's
 * @param devices where device files lie
 */
export async function chooseProvider(
  setting: ProviderSetting,
  environment: Environment,
  devices = '/dev',
): Promise<ProviderChoice> {
  const named = setting !== 'auto';
  const candidates: ExecutionProvider[] = named ? [setting] : ['cuda', 'webgpu'];
  const missing: string[] = [];
  for (const provider of candidates) {
    if (provider === 'cpu') break;
    const { why, environment: drivers } = await tryProvider(provider, environment, { named, devices });
    if (why === null) return { provider, asAsked: true, missing, environment: drivers };
    missing.push(`${provider}: ${why}`);
  }
  return { provider: 'cpu', asAsked: setting === 'auto' || setting === 'cpu', missing, environment: {} };
}

export interface TrialOptions {
  /** Asked for by name: a software driver will do. */
  readonly named: boolean;
  readonly devices?: string;
}

/** Why a provider cannot be had, or null, and what the process must then have in its environment. */
export async function tryProvider(
  provider: ExecutionProvider,
  environment: Environment,
  { named, devices = '/dev' }: TrialOptions,
): Promise<{ readonly why: string | null; readonly environment: Readonly<Record<string, string>> }> {
  const drivers = provider === 'webgpu' && !named ? hardwareOnly(environment) : {};
  const why =
    whyWithoutFiles(provider) ??
    (named ? null : whyNoGpu(provider, environment, devices)) ??
    (await whyItFails(provider, { ...environment, ...drivers }));
  return { why, environment: drivers };
}

function whyWithoutFiles(provider: ExecutionProvider): string | null {
  if (hasFilesOf(provider)) return null;
  return provider === 'cuda'
    ? "ONNX Runtime's CUDA files are not installed (npm run install:cuda)"
    : 'ONNX Runtime does not come with it on this platform';
}

/** What files tell of why there is no GPU to be found; null where there may be one. */
function whyNoGpu(provider: ExecutionProvider, environment: Environment, devices: string): string | null {
  if (process.platform === 'darwin') return null;
  if (process.platform === 'win32')
    return 'whether the adapter is a real GPU cannot be told on Windows: set it by name';
  if (!hasGpuDevice(devices)) return `there is no GPU (no nvidia0, dri/renderD128 or dxg in ${devices})`;
  if (provider === 'webgpu' && vulkanDrivers(environment).every(isSoftware)) {
    return 'there is no Vulkan driver but in software';
  }
  return null;
}

function hasGpuDevice(devices: string): boolean {
  return [...entries(devices), ...entries(join(devices, 'dri'))].some((path) =>
    /\/(nvidia\d+|renderD\d+|dxg)$/.test(path),
  );
}

/** Leaves Vulkan no software driver to find. The second name is that of loaders before 1.3.207. */
function hardwareOnly(environment: Environment): Record<string, string> {
  if (process.platform !== 'linux') return {};
  const list = vulkanDrivers(environment)
    .filter((manifest) => !isSoftware(manifest))
    .join(':');
  return { VK_DRIVER_FILES: list, VK_ICD_FILENAMES: list };
}

/** Manifests of the Vulkan drivers that a loader finds on Linux. */
function vulkanDrivers(environment: Environment): string[] {
  const { HOME = '', XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_CONFIG_DIRS, XDG_DATA_DIRS } = environment;
  const told = environment['VK_DRIVER_FILES'] ?? environment['VK_ICD_FILENAMES'];
  if (told) return told.split(':').flatMap(manifestsAt);
  const roots = [
    XDG_CONFIG_HOME ?? join(HOME, '.config'),
    ...(XDG_CONFIG_DIRS ?? '/etc/xdg').split(':'),
    '/etc',
    XDG_DATA_HOME ?? join(HOME, '.local/share'),
    ...(XDG_DATA_DIRS ?? '/usr/local/share:/usr/share').split(':'),
  ];
  return roots.flatMap((root) => manifestsAt(join(root, 'vulkan/icd.d')));
}

function manifestsAt(path: string): string[] {
  if (!existsSync(path)) return [];
  return statSync(path).isDirectory() ? entries(path).filter((name) => name.endsWith('.json')) : [path];
}

function isSoftware(manifest: string): boolean {
  try {
    const { ICD } = JSON.parse(readFileSync(manifest, 'utf8')) as { ICD: { library_path: string } };
    return SOFTWARE_DRIVER.test(manifest) || SOFTWARE_DRIVER.test(ICD.library_path);
  } catch {
    return true; // what cannot be read is no driver to rely on
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** Lets a process of its own try the provider: a driver may crash, hang, talk, or compute something else. */
async function whyItFails(provider: ExecutionProvider, environment: Environment): Promise<string | null> {
  const child = startProbe(provider, environment);
  const timer = setTimeout(() => child.kill('SIGKILL'), PROBE_MS);
  let said = '';
  let told: { readonly reason: string | null } | null = null;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(0, REASON_LENGTH);
    });
  }
  child.on('message', (message) => {
    told = message as { readonly reason: string | null };
  });
  const how = await endOf(child);
  clearTimeout(timer);
  const verdict = told as { readonly reason: string | null } | null;
  if (verdict) return verdict.reason && oneLine(verdict.reason);
  return oneLine(`a trial ${how} without a result${said === '' ? '' : `; it said: ${said}`}`);
}

/** Without the place in the engine's sources that its errors begin with. */
const oneLine = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .replace(/\/onnxruntime_src\/.* was false\. /, '')
    .trim()
    .slice(0, REASON_LENGTH);

/** From dist the process is plain JavaScript; from source a loader is registered in it first. */
function startProbe(provider: ExecutionProvider, environment: Environment): ChildProcess {
  const extension = import.meta.url.endsWith('.ts') ? 'mjs' : 'js';
  return fork(fileURLToPath(new URL(`./providerProbe.${extension}`, import.meta.url)), [provider], {
    env: engineEnvironment(environment),
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}

/** Resolves in words when the process is gone and everything that it said is heard. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not be started (${error.message})`));
    child.once('close', (code, signal) => resolve(signal ? `ended by ${signal}` : `ended with status ${code}`));
  });
}
