/**
 * SwiftShader: a Vulkan driver that computes on the processor, with which WebGPU runs on a machine without a GPU. It
 * comes with Chromium in the package @sparticuz/chromium, for Linux on x64 alone.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';

export const HAS_SWIFT_SHADER = process.platform === 'linux' && process.arch === 'x64';

const MANIFEST = 'vk_swiftshader_icd.json';
const FILES = [MANIFEST, 'libvk_swiftshader.so', 'libvulkan.so.1'];
/** Of a tar file: a header takes one, and each file whole ones. */
const TAR_BLOCK = 512;

export interface SwiftShader {
  /** What a process is started with to find this driver and no other. */
  readonly environment: { readonly LD_LIBRARY_PATH: string; readonly VK_DRIVER_FILES: string };
  remove(): Promise<void>;
}

/** Lays the driver out in a folder of its own. */
export async function unpackSwiftShader(): Promise<SwiftShader> {
  const folder = await mkdtemp(join(tmpdir(), 'palate-swiftshader-'));
  const [chromium] = createRequire(import.meta.url)
    .resolve('@sparticuz/chromium')
    .split('/build/');
  const packed = join(chromium!, 'bin/swiftshader.tar.br');
  for (const { name, data } of filesOf(await promisify(brotliDecompress)(await readFile(packed)))) {
    if (FILES.includes(name)) await writeFile(join(folder, name), data, { mode: 0o755 });
  }
  return {
    environment: { LD_LIBRARY_PATH: folder, VK_DRIVER_FILES: join(folder, MANIFEST) },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function* filesOf(tar: Buffer): Generator<{ readonly name: string; readonly data: Buffer }> {
  const text = (start: number, length: number) => tar.toString('latin1', start, start + length).replace(/\0.*$/s, '');
  for (let at = 0; at < tar.length && text(at, 100) !== ''; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const start = at + TAR_BLOCK;
    yield { name: text(at, 100), data: tar.subarray(start, start + size) };
    at = start + Math.ceil(size / TAR_BLOCK) * TAR_BLOCK;
  }
}
