/**
 * Where the code runs from source (tests, scripts), imports a module of it in a process or a thread that was just started
 * and has no TypeScript loader: as the tests have compiled it, or through a loader of its own, which takes a second longer.
 * Not part of the build.
 */
import { pathToFileURL } from 'node:url';

const SOURCE = new URL('.', import.meta.url).href;
/** The main.js of these very sources, compiled (tests/support/builtProgram.mjs). */
const built = process.env.PALATE_TEST_PROGRAM;

/** @param url of a module of src, TypeScript */
export async function importSource(url) {
  if (built) {
    const path = url.slice(SOURCE.length).replace(/ts$/, 'js');
    await import(new URL(path, pathToFileURL(built)).href);
    return;
  }
  const { register } = await import('tsx/esm/api');
  register();
  await import(url);
}
