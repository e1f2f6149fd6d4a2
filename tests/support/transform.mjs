/**
 * TypeScript to JavaScript, by swc, with the globals that calculations read made constants of each module. In a realm of
 * jest's every look at a global passes an interceptor, which made loops over `Math` ten times slower than in the service.
 */
import swc from '@swc/jest';

const GLOBALS = [
  ...['Math', 'Number', 'Array', 'Object', 'Map', 'Set', 'Infinity', 'BigInt'],
  ...['Float32Array', 'Float64Array', 'Uint8Array', 'Uint16Array', 'Uint32Array', 'Int32Array', 'DataView'],
];

const inner = swc.createTransformer({
  jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
  module: { type: 'nodenext' },
});

/** On the module's first line, so that every other line keeps its number. */
function withConstants({ code, ...rest }) {
  const used = GLOBALS.filter((name) => new RegExp(`\\b${name}\\b`).test(code));
  const constants = used.map((name) => `${name} = globalThis.${name}`).join(', ');
  return { ...rest, code: used.length > 0 ? `const ${constants}; ${code}` : code };
}

export default {
  canInstrument: inner.canInstrument,
  getCacheKey: (...args) => `${inner.getCacheKey(...args)}-${GLOBALS.join()}`.replace(/[^\w-]/g, '').slice(0, 200),
  process: (...args) => withConstants(inner.process(...args)),
  processAsync: async (...args) => withConstants(await inner.processAsync(...args)),
};
