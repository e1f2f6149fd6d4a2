/**
 * What a process that runs models is given of the environment: what leads to libraries and devices, and nothing that
 * leads to the database.
 */
const VARIABLES = [
  ...['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'LD_LIBRARY_PATH', 'NODE_OPTIONS'],
  ...['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'VK_ADD_DRIVER_FILES'],
  ...['XDG_CONFIG_HOME', 'XDG_CONFIG_DIRS', 'XDG_DATA_HOME', 'XDG_DATA_DIRS'],
  'PALATE_TEST_PROGRAM', // where it runs from source: what the tests have compiled of it (fromSource.mjs)
  ...['CUDA_VISIBLE_DEVICES', 'CUDA_CACHE_PATH', 'NVIDIA_VISIBLE_DEVICES', 'NVIDIA_DRIVER_CAPABILITIES'],
];

export function engineEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(VARIABLES.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));
}
