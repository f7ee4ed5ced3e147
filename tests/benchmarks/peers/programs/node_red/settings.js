// A Node-RED that serves one flow and nothing else.
module.exports = {
    flowFile: "flows.json",
    httpAdminRoot: false,
    disableEditor: true,
    credentialSecret: false,
    logging: { console: { level: "warn", metrics: false, audit: false } },
    telemetry: { enabled: false },
};
