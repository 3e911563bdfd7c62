package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const fromUserEnv = "MIRUVOR_FROM_USER"

// sourceFlags say which etcd to import, and how to speak to it.
type sourceFlags struct {
	endpoints          []string
	user               string
	cacert, cert, key  string
	insecureSkipVerify bool
}

func (s *sourceFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&s.endpoints, "from", nil,
		"members of the etcd, http://host:port or https://host:port")
	flags.StringVar(&s.user, "from-user", "", "user of the etcd, name:password ["+fromUserEnv+"]")
	flags.StringVar(&s.cacert, "from-cacert", "", "certificates that the etcd's is checked with")
	flags.StringVar(&s.cert, "from-cert", "", "certificate to show to the etcd")
	flags.StringVar(&s.key, "from-key", "", "key of --from-cert")
	flags.BoolVar(&s.insecureSkipVerify, "from-insecure-skip-verify", false,
		"do not check the etcd's certificate")
}

func (s *sourceFlags) check() error {
	var problems []error
	if len(s.endpoints) == 0 {
		problems = append(problems, errors.New("--from is missing, it names the etcd to import"))
	}
	for i, endpoint := range s.endpoints {
		if !strings.Contains(endpoint, "://") {
			endpoint = "http://" + endpoint
		}
		u, err := url.Parse(strings.TrimSpace(endpoint))
		if err != nil || u.Port() == "" || u.Scheme != "http" && u.Scheme != "https" {
			problems = append(problems, fmt.Errorf(
				"--from %q is not http://host:port or https://host:port", s.endpoints[i]))
			continue
		}
		s.endpoints[i] = u.Scheme + "://" + u.Host
	}
	if s.user == "" {
		s.user = os.Getenv(fromUserEnv)
	}
	if s.user != "" && !strings.Contains(s.user, ":") {
		problems = append(problems, errors.New("--from-user must be name:password"))
	}
	if (s.cert == "") != (s.key == "") {
		problems = append(problems, errors.New("--from-cert and --from-key go together"))
	}
	return errors.Join(problems...)
}

// The keep-alives of the connection to the source; etcd refuses more than one in
// five seconds.
const (
	fromKeepAlive        = 10 * time.Second
	fromKeepAliveTimeout = 5 * time.Second
)

// open is a client of the source, after somebody was found there. The caller
// closes it.
func (s *sourceFlags) open(ctx context.Context, timeout time.Duration) (*clientv3.Client, error) {
	if err := s.reach(ctx, min(timeout, dialTimeout)); err != nil {
		return nil, err
	}
	config, err := s.tls()
	if err != nil {
		return nil, err
	}
	name, password, _ := strings.Cut(s.user, ":")
	client, err := clientv3.New(clientv3.Config{
		Endpoints: s.endpoints, TLS: config, Username: name, Password: password,
		DialTimeout: timeout, DialKeepAliveTime: fromKeepAlive,
		DialKeepAliveTimeout: fromKeepAliveTimeout, Logger: zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	return client, nil
}

// dialTimeout bounds the search for an endpoint of the source.
const dialTimeout = 3 * time.Second

// reach tells why no endpoint can be reached, which etcd's client does not.
func (s *sourceFlags) reach(ctx context.Context, timeout time.Duration) error {
	var problems []error
	dialer := net.Dialer{Timeout: timeout}
	for _, endpoint := range s.endpoints {
		_, address, _ := strings.Cut(endpoint, "://")
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		problems = append(problems, fmt.Errorf("source: %s: %w", endpoint, err))
	}
	return errors.Join(problems...)
}

// tls is nil if no endpoint asks for it.
func (s *sourceFlags) tls() (*tls.Config, error) {
	secure := false
	for _, endpoint := range s.endpoints {
		secure = secure || strings.HasPrefix(endpoint, "https://")
	}
	if !secure {
		return nil, nil //nolint:nilnil // there is neither TLS nor a mistake
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.insecureSkipVerify,
	}
	if s.cacert != "" {
		pem, err := os.ReadFile(s.cacert)
		if err != nil {
			return nil, fmt.Errorf("--from-cacert: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--from-cacert: %s holds no certificate", s.cacert)
		}
	}
	if s.cert != "" {
		pair, err := tls.LoadX509KeyPair(s.cert, s.key)
		if err != nil {
			return nil, fmt.Errorf("--from-cert, --from-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
