//! A small shop that keeps sending: three services, a database, a queue, and now and then trouble.
//!
//! `demo [OTLP/HTTP endpoint]`; stops on Ctrl-C or SIGTERM. What it sends is synthetic, but has
//! the shape of real telemetry: nested spans over services, logs inside spans, counters and
//! histograms, deadlocks that make checkouts slow, and personal data that a redactor must remove.

use std::time::Duration;

use petrel_tests::telemetry::{
    Ids, Log, Resource, SpanDraft, counter, gauge, histogram, logs_request, metrics_request,
    traces_request,
};
use petrel_wire::{Clock as _, Signal, SystemClock};

const MS: u64 = 1_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let endpoint = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:4318".to_owned());
    let client = petrel_tests::http::client();
    let clock = SystemClock::new();
    let mut shop = Shop::new(clock.wall().0);
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
        for (signal, body) in shop.half_second(clock.wall().0) {
            if let Err(error) = send(&client, &endpoint, signal, body).await {
                #[expect(clippy::print_stderr, reason = "the demo's only output")]
                {
                    eprintln!("could not send {signal}: {error:#}");
                }
            }
        }
    }
}

async fn send(
    client: &reqwest::Client,
    endpoint: &str,
    signal: Signal,
    body: Vec<u8>,
) -> anyhow::Result<()> {
    let request = client
        .post(format!("{endpoint}{}", signal.path()))
        .header("content-type", "application/x-protobuf")
        .body(body);
    let response = request.send().await?;
    anyhow::ensure!(
        response.status().is_success(),
        "the agent said {}",
        response.status()
    );
    Ok(())
}

/// State of the shop: what counters have reached, and how long the current deadlock lasts.
struct Shop {
    ids: Ids,
    started: u64,
    ticks: u64,
    requests: [u64; 2],
    orders: u64,
    durations_ms: Vec<f64>,
}

const ROUTES: [(&str, &str, u64); 4] = [
    ("GET", "/products", 12),
    ("GET", "/products/{id}", 8),
    ("POST", "/cart/items", 18),
    ("POST", "/checkout", 60),
];

impl Shop {
    fn new(now: u64) -> Self {
        Self {
            ids: Ids::seeded(now),
            started: now,
            ticks: 0,
            requests: [0; 2],
            orders: 0,
            durations_ms: Vec::new(),
        }
    }

    fn half_second(&mut self, now: u64) -> Vec<(Signal, Vec<u8>)> {
        self.ticks += 1;
        let mut front = Vec::new();
        let mut checkout = Vec::new();
        let mut inventory = Vec::new();
        let mut logs = Vec::new();
        for _ in 0..2 + self.ids.below(4) {
            self.visit(now, &mut front, &mut checkout, &mut inventory, &mut logs);
        }
        let spans = traces_request(&[
            (resource("frontend", "shop-web-1"), front),
            (resource("checkout", "shop-app-1"), checkout),
            (resource("inventory", "shop-app-2"), inventory),
        ]);
        let mut sent = vec![
            (Signal::Traces, spans),
            (
                Signal::Logs,
                logs_request(&resource("checkout", "shop-app-1"), &logs),
            ),
        ];
        if self.ticks.is_multiple_of(10) {
            sent.push((Signal::Metrics, self.metrics(now)));
        }
        sent
    }

    fn visit(
        &mut self,
        now: u64,
        front: &mut Vec<SpanDraft>,
        checkout: &mut Vec<SpanDraft>,
        inventory: &mut Vec<SpanDraft>,
        logs: &mut Vec<Log>,
    ) {
        let (method, route, base_ms) = ROUTES[usize::try_from(self.ids.below(4)).unwrap_or(0)];
        let buys = route == "/checkout";
        // For twenty seconds in every two minutes the orders table is contended.
        let contended = buys && self.ticks % 240 < 40 && self.ids.below(3) == 0;
        let took = (base_ms + self.ids.below(base_ms)) * MS + if contended { 900 * MS } else { 0 };
        let start = now - took - self.ids.below(400) * MS;
        let trace = self.ids.trace();
        let failed = contended && self.ids.below(2) == 0;
        self.requests[usize::from(failed)] += 1;
        self.durations_ms.push(took as f64 / MS as f64);

        let mut root = SpanDraft::server(&mut self.ids, trace, &format!("{method} {route}"))
            .lasting(start, took)
            .with("http.request.method", method)
            .with("http.route", route)
            .with(
                "url.full",
                format!("https://shop.example{}", route.replace("{id}", "4711")),
            )
            .with(
                "http.response.status_code",
                if failed { 500_i64 } else { 200 },
            )
            .with(
                "user.email",
                format!("customer{}@example.com", self.ids.below(500)),
            )
            .with(
                "http.request.header.authorization",
                "Bearer 8f2c0e9d7b6a5f4e3d2c1b0a",
            );
        if failed {
            root = root.failed("checkout failed");
        }
        let root_id = root.id();
        let call = SpanDraft::client(&mut self.ids, trace, root_id, "inventory.Stock/Get")
            .lasting(start + 2 * MS, took / 3)
            .with("rpc.system", "grpc")
            .with("rpc.service", "inventory.Stock")
            .with("rpc.method", "Get");
        let stock = SpanDraft::server_under(&mut self.ids, trace, call.id(), "inventory.Stock/Get")
            .lasting(start + 3 * MS, took / 3 - MS)
            .with("rpc.system", "grpc");
        let query = SpanDraft::client(&mut self.ids, trace, stock.id(), "SELECT stock")
            .lasting(start + 4 * MS, took / 4)
            .with("db.system.name", "postgresql")
            .with(
                "db.query.text",
                "SELECT count FROM stock WHERE product = $1",
            );
        front.push(root);
        front.push(call);
        inventory.push(stock);
        inventory.push(query);
        if buys {
            self.buy(
                trace,
                root_id,
                start,
                took,
                (contended, failed),
                checkout,
                logs,
            );
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one scene of the story, called once"
    )]
    fn buy(
        &mut self,
        trace: [u8; 16],
        parent: [u8; 8],
        start: u64,
        took: u64,
        (contended, failed): (bool, bool),
        spans: &mut Vec<SpanDraft>,
        logs: &mut Vec<Log>,
    ) {
        self.orders += u64::from(!failed);
        let order = 100_000 + self.orders;
        let place = SpanDraft::server_under(&mut self.ids, trace, parent, "place order")
            .lasting(start + took / 3, took / 2)
            .with("order.id", i64::try_from(order).unwrap_or(0));
        let mut insert = SpanDraft::client(&mut self.ids, trace, place.id(), "INSERT orders")
            .lasting(start + took / 3 + 2 * MS, took / 2 - 3 * MS)
            .with("db.system.name", "postgresql")
            .with(
                "db.query.text",
                "SELECT * FROM orders WHERE id = $1 FOR UPDATE",
            );
        let at = start + took * 5 / 6 - MS;
        if failed {
            insert = insert.failed("deadlock detected").exception(
                at,
                "psycopg.errors.DeadlockDetected",
                "deadlock detected",
                "Traceback (most recent call last):\n  File \"/srv/shop/orders.py\", line 88, in place\n    cursor.execute(LOCK_ORDER, (order_id,))\npsycopg.errors.DeadlockDetected: deadlock detected",
            );
        }
        let log = |severity, body: String| Log {
            at,
            severity,
            body,
            trace,
            span: insert.id(),
        };
        if failed {
            logs.push(log(
                17,
                format!("Deadlock detected while placing order {order}"),
            ));
        } else if contended {
            logs.push(log(
                13,
                format!("Waited {} ms for a lock on orders", took / MS / 2),
            ));
        } else {
            logs.push(log(
                9,
                format!(
                    "Order {order} placed by customer{}@example.com",
                    order % 500
                ),
            ));
        }
        spans.push(place);
        spans.push(insert);
    }

    fn metrics(&mut self, now: u64) -> Vec<u8> {
        let since = (self.started, now);
        let durations = std::mem::take(&mut self.durations_ms);
        let bounds = [5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0];
        metrics_request(
            &resource("frontend", "shop-web-1"),
            vec![
                counter(
                    "shop.requests",
                    "{request}",
                    since,
                    &[("ok", self.requests[0]), ("failed", self.requests[1])],
                ),
                counter("shop.orders", "{order}", since, &[("placed", self.orders)]),
                gauge(
                    "shop.cart.items",
                    "{item}",
                    now,
                    20.0 + self.ids.below(30) as f64,
                ),
                gauge(
                    "system.cpu.utilization",
                    "1",
                    now,
                    0.2 + self.ids.below(40) as f64 / 100.0,
                ),
                histogram(
                    "http.server.request.duration",
                    "ms",
                    (now - 5000 * MS, now),
                    &bounds,
                    &durations,
                ),
            ],
        )
    }
}

fn resource(service: &str, host: &str) -> Resource {
    Resource::new(service)
        .with("service.version", "2.4.1")
        .with("host.name", host)
        .with("deployment.environment.name", "demo")
}
