/** What the models run on: never a software driver by itself, and never silently something else than was asked for. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseProvider } from '../../src/inference/providerChoice.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'palate-provider-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A folder of device files. */
async function devices(name: string, ...files: string[]): Promise<string> {
  await mkdir(join(folder, name, 'dri'), { recursive: true });
  for (const file of files) await writeFile(join(folder, name, file), '');
  return join(folder, name);
}

/** A Vulkan driver that is installed, or seems to be. */
async function driver(name: string, library: string): Promise<string> {
  const path = join(folder, `${name}.json`);
  await writeFile(path, JSON.stringify({ file_format_version: '1.0.0', ICD: { library_path: library } }));
  return path;
}

const NO_CUDA = "cuda: ONNX Runtime's CUDA files are not installed (npm run install:cuda)";

it('takes the processor where it is told to, and looks no further', async () => {
  expect(await chooseProvider('cpu', {})).toEqual({ provider: 'cpu', asAsked: true, missing: [], environment: {} });
});

it('says which provider cannot be had that was asked for by name', async () => {
  expect(await chooseProvider('cuda', {})).toMatchObject({ provider: 'cpu', asAsked: false, missing: [NO_CUDA] });
});

const onLinux = process.platform === 'linux' ? it : it.skip;

onLinux('takes the processor on a machine without a GPU, whatever driver there is', async () => {
  const none = await devices('none', 'null', 'nvidiactl');
  const hardware = await driver('radeon_icd', 'libvulkan_radeon.so');
  expect(await chooseProvider('auto', { VK_DRIVER_FILES: hardware }, none)).toEqual({
    provider: 'cpu',
    asAsked: true,
    missing: [NO_CUDA, `webgpu: there is no GPU (no nvidia0, dri/renderD128 or dxg in ${none})`],
    environment: {},
  });
});

onLinux.each([
  ['lvp_icd.x86_64', '/usr/lib/libvulkan_lvp.so'],
  ['renamed', './libvk_swiftshader.so'],
  ['dzn_icd', 'libvulkan_dzn.so'],
])('never takes the software driver %s by itself', async (name, library) => {
  const card = await devices('card', 'dri/renderD128');
  const choice = await chooseProvider('auto', { VK_DRIVER_FILES: await driver(name, library) }, card);
  expect(choice).toMatchObject({
    provider: 'cpu',
    missing: [NO_CUDA, 'webgpu: there is no Vulkan driver but in software'],
  });
});

onLinux('lets a process of its own try what looks like a GPU, and says what came of it', async () => {
  const card = await devices('card', 'dri/renderD128');
  const software = await driver('lvp_icd', 'libvulkan_lvp.so');
  const hardware = await driver('radeon_icd', join(folder, 'libvulkan_radeon.so'));
  const { VK_DRIVER_FILES, ...environment } = process.env;
  const drivers = { ...environment, VK_DRIVER_FILES: `${software}:${hardware}` };
  const { provider, missing } = await chooseProvider('auto', drivers, card);
  expect(provider).toBe('cpu');
  expect(missing[1]).toMatch(/^webgpu: The model could not be opened: Failed to get a WebGPU adapter: /);
});
