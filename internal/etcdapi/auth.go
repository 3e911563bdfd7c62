package etcdapi

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// authServer is etcd's Auth service of a cluster without users: it is off, and
// can't be turned on.
type authServer struct {
	pb.UnimplementedAuthServer
	api *API
}

// authRevision is etcd's before there was any user.
const authRevision = 1

// errAuthOff answers all that needs users.
var errAuthOff = rpctypes.ErrGRPCAuthNotEnabled

// AuthStatus tells that it is off.
func (s *authServer) AuthStatus(
	ctx context.Context, _ *pb.AuthStatusRequest,
) (*pb.AuthStatusResponse, error) {
	status, err := s.api.store.Status(ctx)
	if err != nil {
		return nil, failure(err)
	}
	return &pb.AuthStatusResponse{
		Header: s.api.header(status.Revision), AuthRevision: authRevision,
	}, nil
}

// AuthEnable implements pb.AuthServer.
func (*authServer) AuthEnable(
	context.Context, *pb.AuthEnableRequest,
) (*pb.AuthEnableResponse, error) {
	return nil, errAuthOff
}

// AuthDisable implements pb.AuthServer.
func (*authServer) AuthDisable(
	context.Context, *pb.AuthDisableRequest,
) (*pb.AuthDisableResponse, error) {
	return nil, errAuthOff
}

// Authenticate implements pb.AuthServer.
func (*authServer) Authenticate(
	context.Context, *pb.AuthenticateRequest,
) (*pb.AuthenticateResponse, error) {
	return nil, errAuthOff
}

// UserAdd implements pb.AuthServer.
func (*authServer) UserAdd(
	context.Context, *pb.AuthUserAddRequest,
) (*pb.AuthUserAddResponse, error) {
	return nil, errAuthOff
}

// UserGet implements pb.AuthServer.
func (*authServer) UserGet(
	context.Context, *pb.AuthUserGetRequest,
) (*pb.AuthUserGetResponse, error) {
	return nil, errAuthOff
}

// UserList implements pb.AuthServer.
func (*authServer) UserList(
	context.Context, *pb.AuthUserListRequest,
) (*pb.AuthUserListResponse, error) {
	return nil, errAuthOff
}

// UserDelete implements pb.AuthServer.
func (*authServer) UserDelete(
	context.Context, *pb.AuthUserDeleteRequest,
) (*pb.AuthUserDeleteResponse, error) {
	return nil, errAuthOff
}

// UserChangePassword implements pb.AuthServer.
func (*authServer) UserChangePassword(
	context.Context, *pb.AuthUserChangePasswordRequest,
) (*pb.AuthUserChangePasswordResponse, error) {
	return nil, errAuthOff
}

// UserGrantRole implements pb.AuthServer.
func (*authServer) UserGrantRole(
	context.Context, *pb.AuthUserGrantRoleRequest,
) (*pb.AuthUserGrantRoleResponse, error) {
	return nil, errAuthOff
}

// UserRevokeRole implements pb.AuthServer.
func (*authServer) UserRevokeRole(
	context.Context, *pb.AuthUserRevokeRoleRequest,
) (*pb.AuthUserRevokeRoleResponse, error) {
	return nil, errAuthOff
}

// RoleAdd implements pb.AuthServer.
func (*authServer) RoleAdd(
	context.Context, *pb.AuthRoleAddRequest,
) (*pb.AuthRoleAddResponse, error) {
	return nil, errAuthOff
}

// RoleGet implements pb.AuthServer.
func (*authServer) RoleGet(
	context.Context, *pb.AuthRoleGetRequest,
) (*pb.AuthRoleGetResponse, error) {
	return nil, errAuthOff
}

// RoleList implements pb.AuthServer.
func (*authServer) RoleList(
	context.Context, *pb.AuthRoleListRequest,
) (*pb.AuthRoleListResponse, error) {
	return nil, errAuthOff
}

// RoleDelete implements pb.AuthServer.
func (*authServer) RoleDelete(
	context.Context, *pb.AuthRoleDeleteRequest,
) (*pb.AuthRoleDeleteResponse, error) {
	return nil, errAuthOff
}

// RoleGrantPermission implements pb.AuthServer.
func (*authServer) RoleGrantPermission(
	context.Context, *pb.AuthRoleGrantPermissionRequest,
) (*pb.AuthRoleGrantPermissionResponse, error) {
	return nil, errAuthOff
}

// RoleRevokePermission implements pb.AuthServer.
func (*authServer) RoleRevokePermission(
	context.Context, *pb.AuthRoleRevokePermissionRequest,
) (*pb.AuthRoleRevokePermissionResponse, error) {
	return nil, errAuthOff
}
