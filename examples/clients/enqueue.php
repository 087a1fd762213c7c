<?php
// SPDX-License-Identifier: Apache-2.0
// enqueue.php TASK [PAYLOAD] [QUEUE]: publishes a job with php-amqplib and prints its id.
require is_dir(__DIR__ . '/vendor') ? __DIR__ . '/vendor/autoload.php' : 'PhpAmqpLib/autoload.php'; // composer's or Debian's

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Message\AMQPMessage;

if ($argc < 2) {
    fwrite(STDERR, "usage: enqueue.php TASK [PAYLOAD] [QUEUE]\n");
    exit(2);
}
[, $task, $payload, $queue] = $argv + [2 => 'null', 3 => 'default'];
json_decode($payload, false, 512, JSON_THROW_ON_ERROR);

$url = parse_url(getenv('CRESS_BROKER_URL') ?: 'amqp://guest:guest@localhost:5672/');
$vhost = urldecode(substr($url['path'] ?? '/', 1)) ?: '/';
$connection = new AMQPStreamConnection($url['host'], $url['port'] ?? 5672,
    urldecode($url['user'] ?? 'guest'), urldecode($url['pass'] ?? 'guest'), $vhost);
$channel = $connection->channel();
$channel->confirm_select();
$refused = null;
$channel->set_return_listener(function ($code, $text) use (&$refused) { $refused = $text; });
$channel->set_nack_handler(function () use (&$refused) { $refused = 'the broker refused it'; });

$job = bin2hex(random_bytes(16));
$channel->basic_publish(new AMQPMessage($payload, [
    'type' => $task, 'message_id' => $job, 'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT,
    'content_type' => 'application/json',
]), '', $queue, true);
$channel->wait_for_pending_acks_returns(10);
$connection->close();
if ($refused !== null) {
    fwrite(STDERR, "enqueue: $refused\n");
    exit(1);
}
echo $job, "\n";
