// A target of HTTP/2 that sends bodies back, with a trailer, and takes extended CONNECT; and a client that asks for both.
'use strict';
const http2 = require('http2');
const assert = require('assert');
const [role, port, path] = process.argv.slice(2);

function serve() {
  const server = http2.createServer({ settings: { enableConnectProtocol: true } });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    if (headers[':method'] === 'CONNECT') {
      assert.strictEqual(headers[':protocol'], 'websocket');
      assert.strictEqual(headers['sec-websocket-key'], undefined);
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
      return;
    }
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }));
    if (headers[':method'] === 'GET') stream.end('fine'); else stream.pipe(stream);
  });
  server.listen(Number(port), '127.0.0.1');
}

async function ask() {
  const client = http2.connect(`http://127.0.0.1:${port}`);
  const failed = error => { console.error(path, error); process.exit(1); };
  client.on('error', failed);
  const settings = await new Promise(resolve => client.once('remoteSettings', resolve));
  assert.strictEqual(settings.enableConnectProtocol, true);
  const collect = stream => new Promise((resolve, reject) => {
    const parts = [];
    stream.on('data', part => parts.push(part));
    stream.on('end', () => resolve(Buffer.concat(parts)));
    stream.on('error', reject);
  });
  const body = Buffer.alloc(200000, 'abc');
  const post = async number => {
    const stream = client.request({ ':method': 'POST', ':path': `${path}/${number}`, 'te': 'trailers' });
    stream.end(body);
    assert.deepStrictEqual(await collect(stream), body);
  };
  // A masked message of five bytes, as RFC 6455 has it.
  const tunnel = async raw => {
    const stream = client.request(
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': `${path}/ws`, 'sec-websocket-version': '13' },
      { endStream: false });
    const headers = await new Promise((resolve, reject) => { stream.on('response', resolve); stream.on('error', reject); });
    assert.strictEqual(headers[':status'], 200);
    assert.strictEqual(headers['sec-websocket-accept'], undefined);
    const message = Buffer.from('818537fa213d7f9f4d5158', 'hex');
    const answer = new Promise(resolve => stream.once('data', resolve));
    stream.write(message);
    // A target that speaks WebSocket sends the message back without the mask.
    assert.strictEqual((await answer).toString('hex'), raw ? message.toString('hex') : '810548656c6c6f');
    stream.close(http2.constants.NGHTTP2_CANCEL);
  };
  await Promise.all([...Array(30).keys()].map(post));
  await tunnel(path === '/node');
  console.log(`node: 30 bodies and a WebSocket came back from ${path}`);
  client.close();
}

if (role === 'serve') serve(); else ask().catch(error => { console.error(path, error); process.exit(1); });
