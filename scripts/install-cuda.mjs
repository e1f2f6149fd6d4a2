/**
 * Fetches ONNX Runtime's CUDA files, which its package leaves out for their size, by the package's own installer. That
 * is called by itself: npm leaves out the package's install script (allowScripts, .npmrc), and the installer ends
 * without a word where it is told `cuda12`, as its help has it, but `true` makes it fetch what this platform can have.
 *
 *     npm run install:cuda
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const root = join(createRequire(import.meta.url).resolve('onnxruntime-node'), '../..');
const library = join(root, 'bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so');

if (process.platform !== 'linux' || process.arch !== 'x64') {
  fail(`ONNX Runtime has CUDA files for Linux on x64 alone; this is ${process.platform} on ${process.arch}.`);
}
const { status } = spawnSync(process.execPath, [join(root, 'script/install.js')], {
  stdio: 'inherit',
  env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'true' },
});
if (status !== 0 || !existsSync(library)) {
  fail('The CUDA files were not installed. They come from NuGet, which must be in reach.');
}
console.log(
  'The CUDA files are installed. They need an NVIDIA driver, CUDA 12 and cuDNN 9 on the machine that runs them.',
);

/** @param {string} why */
function fail(why) {
  console.error(why);
  process.exit(1);
}
