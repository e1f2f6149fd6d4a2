/**
 * Nothing leaves the machine: ONNX Runtime's packages report to Microsoft from version 1.29 on (sessions, models, host),
 * and keep what they could not send in the user's cache, unless this variable is set before their library is loaded.
 * Imported for that, before the runtime.
 */
process.env['ORT_DISABLE_TELEMETRY'] = '1';
