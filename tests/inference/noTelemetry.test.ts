/** ONNX Runtime's telemetry is off where Palate runs a model, though its packages turn it on. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const SESSION = new URL('../../src/inference/session.ts', import.meta.url).href;
const RUNTIME = pathToFileURL(createRequire(import.meta.url).resolve('onnxruntime-node')).href;
const MODEL = new URL('../../models/encoders/resnet50-style/model.onnx', import.meta.url).pathname;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'palate-telemetry-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** Everything that a process which opens a model leaves in its home and its folder for temporary files. */
async function leftBehind(script: string): Promise<string[]> {
  const file = join(home, 'script.mjs');
  await writeFile(file, script);
  await promisify(execFile)(process.execPath, ['--import', TSX, file], {
    // Nothing of ours: the runtime is silent by itself where a variable says that this is a continuous integration.
    env: { PATH: process.env['PATH'], HOME: home, XDG_CACHE_HOME: join(home, 'cache'), TMPDIR: home },
  });
  return (await readdir(home, { recursive: true })).filter((path) => /mat-debug|onnxruntime/i.test(path));
}

it('a session of ours leaves no trace of it', async () => {
  for (const worker of [false, true]) {
    const script = `
      const { openSession } = await import(${JSON.stringify(SESSION)});
      const session = await openSession(${JSON.stringify(MODEL)}, { worker: ${worker} });
      await session.close();`;
    expect(await leftBehind(script)).toEqual([]);
  }
});

it('the runtime by itself does, or this test has lost its meaning', async () => {
  if (process.platform !== 'linux') return; // where it leaves no files, there is nothing to look for
  const script = `
    const { InferenceSession } = await import(${JSON.stringify(RUNTIME)});
    await InferenceSession.create(${JSON.stringify(MODEL)});`;
  expect(await leftBehind(script)).not.toEqual([]);
});
