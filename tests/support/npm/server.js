// An OPC UA server by node-opcua, as a process that tests/support/opcua_servers.py tells what to do.
//
// Its argument is the file with the JSON of what it serves, and each line on standard input one
// order; it answers every order in one line, and first of all when it is ready.  It ends when its
// input does, so that nothing is left behind by a test that was killed.
"use strict";

console.log = console.info = console.error; // What the library has to say is no answer.

// The clock of the whole process, which an order puts forward and back.
let skew = 0;
const TrueDate = Date;
globalThis.Date = class extends TrueDate {
  constructor(...given) {
    given.length ? super(...given) : super(TrueDate.now() + skew);
  }
  static now() {
    return TrueDate.now() + skew;
  }
};

const fs = require("node:fs");
const readline = require("node:readline");
const { OPCUAServer, Subscription, RegisterServerMethod } = require("node-opcua-server");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { StatusCodes } = require("node-opcua-status-code");
const { EUInformation, MessageSecurityMode } = require("node-opcua-types");
const { DataType, Variant } = require("node-opcua-variant");

const served = JSON.parse(fs.readFileSync(process.argv[2], "utf-8"));
const nodes = new Map(served.nodes.map((node) => [node.node, node]));
const variables = new Map();

const answer = (value) => process.stdout.write(JSON.stringify(value) + "\n");

function namespaceOf(server, node) {
  const [, uri, identifier] = node.match(/^nsu=([^;]*);(.*)$/);
  return [server.engine.addressSpace.getNamespace(uri), identifier];
}

// As OPC 10000-8 (5.6.4.3) has it: the code's characters are the bytes of the number.
function unitOf({ unece, unit }) {
  return new EUInformation({
    namespaceUri: "http://www.opcfoundation.org/UA/units/un/cefact",
    unitId: Buffer.from(unece).reduce((number, byte) => number * 256 + byte, 0),
    displayName: unit,
    description: unit,
  });
}

function set(node, value, status, at) {
  const { type } = nodes.get(node);
  // What is no number comes as text: JSON has no word for it.
  const meant = typeof value === "string" && type !== "String" ? Number(value) : value;
  const told = new Variant({ dataType: DataType[type], value: meant });
  variables.get(node).setValueFromSource(told, StatusCodes[status], new Date(at));
}

function add(server, node) {
  nodes.set(node.node, node);
  const [namespace, identifier] = namespaceOf(server, node.node);
  const variable = namespace.addVariable({
    nodeId: identifier,
    browseName: identifier.slice(2),
    dataType: node.type,
    minimumSamplingInterval: 0, // Every change is reported to whom asks for every change.
    organizedBy: server.engine.addressSpace.rootFolder.objects,
  });
  if (node.unece) {
    namespace.addVariable({
      propertyOf: variable,
      browseName: { name: "EngineeringUnits", namespaceIndex: 0 },
      nodeId: identifier + ".EngineeringUnits",
      dataType: "EUInformation",
      value: { dataType: DataType.ExtensionObject, value: unitOf(node) },
    });
  }
  variables.set(node.node, variable);
  set(node.node, node.value, "Good", node.at);
}

function remove(server, node) {
  server.engine.addressSpace.deleteNode(variables.get(node));
  variables.delete(node);
}

function subscriptionsOf(server) {
  return server.engine
    .getSessions()
    .flatMap((session) => session.publishEngine.subscriptions.map((one) => [session, one]));
}

function closeSessions(server) {
  server.engine
    .getSessions()
    .forEach((session) => server.engine.closeSession(session.authenticationToken, true, "Terminated"));
}

function counts(server) {
  const { engine } = server;
  const subscriptions = subscriptionsOf(server);
  return {
    sessions: engine.currentSessionCount,
    sessions_ever: engine.cumulatedSessionCount,
    subscriptions: subscriptions.length,
    items: subscriptions.reduce((sum, [, one]) => sum + one.monitoredItemCount, 0),
  };
}

function obey(server, order) {
  switch (order.do) {
    case "set":
      order.changes.forEach((change) => set(...change));
      return null;
    case "remove":
      return remove(server, order.node) ?? null;
    case "restore":
      return add(server, order.node) ?? null;
    case "drop_subscriptions":
      subscriptionsOf(server).forEach(([session, one]) => session.deleteSubscription(one.id));
      return null;
    case "mute_subscriptions":
      subscriptionsOf(server).forEach(([, one]) => one._stop_timer());
      return null;
    case "close_sessions":
      server.engine.serverCapabilities.maxSessions = order.most;
      return closeSessions(server) ?? null;
    case "clock":
      skew = order.skew;
      return null;
    case "state":
      server.engine.setServerState(order.state);
      return null;
    case "counts":
      return counts(server);
    default:
      throw new Error(`no such order: ${order.do}`);
  }
}

function options() {
  const secured = Boolean(served.certificate);
  const certificates = new OPCUACertificateManager({
    automaticallyAcceptUnknownCertificate: true, // Whom to let in is told by the password.
    rootFolder: served.folder,
  });
  return {
    port: served.port,
    hostname: "127.0.0.1",
    host: "127.0.0.1",
    resourcePath: "/",
    registerServerMethod: RegisterServerMethod.HIDDEN,
    skipOwnNamespace: false,
    serverCertificateManager: certificates,
    userCertificateManager: certificates,
    ...(secured ? { certificateFile: served.certificate, privateKeyFile: served.key } : {}),
    securityModes: [secured ? MessageSecurityMode.SignAndEncrypt : MessageSecurityMode.None],
    securityPolicies: [
      `http://opcfoundation.org/UA/SecurityPolicy#${secured ? "Basic256Sha256" : "None"}`,
    ],
    allowAnonymous: Object.keys(served.users).length === 0,
    userManager: { isValidUser: (name, password) => served.users[name] === password },
    ...(served.connections ? { maxConnectionsPerEndpoint: served.connections } : {}),
    ...(served.channel ? { defaultSecureTokenLifetime: served.channel } : {}),
    serverInfo: { applicationUri: served.application },
    serverCapabilities: {
      minSupportedSampleRate: 0,
      ...(served.items ? { maxMonitoredItems: served.items } : {}),
      operationLimits: {
        ...(served.items_per_call ? { maxMonitoredItemsPerCall: served.items_per_call } : {}),
        ...(served.reads ? { maxNodesPerRead: served.reads } : {}),
      },
    },
  };
}

async function main() {
  if (served.publishing) Subscription.minimumPublishingInterval = served.publishing;
  const server = new OPCUAServer(options());
  await server.initialize();
  served.namespaces.forEach((uri) => server.engine.addressSpace.registerNamespace(uri));
  nodes.forEach((node) => add(server, node));
  if (!served.subscriptions) server.engine.serverCapabilities.maxSubscriptions = 0;
  await server.start();
  answer(null);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    answer(obey(server, JSON.parse(line)));
  }
  await server.shutdown(0);
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
