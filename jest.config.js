/** Tests mirror src/ and use real parts: PostgreSQL, HTTP over loopback, real pictures. */
// Tests run in realms whose process.env is a copy: src/inference/noTelemetry.ts does not reach the process's own.
process.env.ORT_DISABLE_TELEMETRY = '1';
// The same on a machine with a GPU.
process.env.PALATE_EXECUTION_PROVIDER ??= 'cpu';

export default {
  testMatch: ['<rootDir>/tests/**/*.test.ts'],
  globalSetup: '<rootDir>/tests/support/prepareRun.mjs',
  globalTeardown: '<rootDir>/tests/support/endRun.mjs',
  testSequencer: '<rootDir>/tests/support/longestFirst.mjs',
  testEnvironment: '<rootDir>/tests/support/environment.cjs',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': '<rootDir>/tests/support/transform.mjs' },
  testTimeout: 120_000, // on a machine that does much else besides
  maxWorkers: 2,
};
